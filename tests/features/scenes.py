"""What a provider says in a row of the table, written in the words of each, whole and streamed."""

import json
from typing import Any, NamedTuple

from tests.dialect_wire import named
from tests.features.columns import Form
from tests.openai_wire import DONE
from tests.unit import bedrock_wire, cohere_wire, gemini_wire

SIGNATURE = "c2lnbmF0dXJl"
ASKED, ANSWERED, CACHED, REASONED = 20, 9, 4, 3

_STOPS: dict[Form, dict[str, str]] = {
    "openai": {},
    "anthropic": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
    },
    "gemini": {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
    },
    "bedrock": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "guardrail_intervened",
    },
    "cohere": {
        "stop": "COMPLETE",
        "length": "MAX_TOKENS",
        "tool_calls": "TOOL_CALL",
        "content_filter": "ERROR_TOXIC",
    },
}


class ModelsCall(NamedTuple):
    """The model calls a function with these arguments."""

    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def fragments(self) -> list[str]:
        """The arguments as a stream brings them; none where there are none."""
        text = json.dumps(self.arguments)
        return [text[:5], text[5:]] if self.arguments else []


class Scene(NamedTuple):
    """What the model thinks, says and calls, and why it stops; it takes the tokens named above."""

    thought: str = ""
    text: str = ""
    calls: tuple[ModelsCall, ...] = ()
    stop: str = "stop"

    def written(self, form: Form, *, streamed: bool) -> bytes:
        """The body of the answer in a provider's words."""
        whole, stream = _WRITERS[form]
        reason = _STOPS[form].get(self.stop, self.stop)
        return stream(self, reason) if streamed else whole(self, reason)


_OPENAI_USAGE = {
    "prompt_tokens": ASKED,
    "completion_tokens": ANSWERED,
    "total_tokens": ASKED + ANSWERED,
    "prompt_tokens_details": {"cached_tokens": CACHED},
    "completion_tokens_details": {"reasoning_tokens": REASONED},
}


def _openai_call(call: ModelsCall, arguments: str) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _openai_whole(scene: Scene, reason: str) -> bytes:
    said: dict[str, Any] = {"role": "assistant", "content": scene.text or None, "refusal": None}
    if scene.thought:
        said["reasoning_content"] = scene.thought
    if scene.calls:
        said["tool_calls"] = [_openai_call(one, json.dumps(one.arguments)) for one in scene.calls]
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    answer = {"object": "chat.completion", "choices": [choice], "usage": _OPENAI_USAGE}
    return json.dumps({"id": "chatcmpl-1", "created": 1, "model": "m", **answer}).encode()


def _openai_stream(scene: Scene, reason: str) -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(scene.thought)]
    deltas += [{"content": piece} for piece in _pieces(scene.text)]
    for index, call in enumerate(scene.calls):
        deltas.append({"tool_calls": [{"index": index, **_openai_call(call, "")}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}
            for fragment in call.fragments or ["{}"]
        ]
    shared: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
    }
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    chunks = [{**shared, "choices": [choice]} for choice in choices]
    chunks.append({**shared, "choices": [], "usage": _OPENAI_USAGE})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + DONE


_ANTHROPIC_INPUT = {"input_tokens": ASKED - CACHED, "cache_read_input_tokens": CACHED}
_ANTHROPIC_OUTPUT = {
    "output_tokens": ANSWERED,
    "output_tokens_details": {"thinking_tokens": REASONED},
}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "stop_sequence": None,
}


def _anthropic_blocks(scene: Scene) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if scene.thought:
        blocks.append({"type": "thinking", "thinking": scene.thought, "signature": SIGNATURE})
    if scene.text:
        blocks.append({"type": "text", "text": scene.text})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in scene.calls
    ]
    return blocks


def _anthropic_whole(scene: Scene, reason: str) -> bytes:
    usage = {**_ANTHROPIC_INPUT, **_ANTHROPIC_OUTPUT}
    answer = {"content": _anthropic_blocks(scene), "stop_reason": reason, "usage": usage}
    return json.dumps({**_MESSAGE, **answer}).encode()


def _anthropic_stream(scene: Scene, reason: str) -> bytes:
    usage = {**_ANTHROPIC_INPUT, "output_tokens": 1}
    start: dict[str, Any] = {**_MESSAGE, "content": [], "stop_reason": None, "usage": usage}
    events = [named("message_start", message=start)]
    calls = iter(scene.calls)
    for index, block in enumerate(_anthropic_blocks(scene)):
        if block["type"] == "tool_use":
            empty = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": fragment}
                for fragment in ["", *next(calls).fragments]
            ]
        elif block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": piece} for piece in _pieces(scene.thought)
            ]
            deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        else:
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(scene.text)]
        events.append(named("content_block_start", index=index, content_block=empty))
        events += [named("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(named("content_block_stop", index=index))
    delta = {"stop_reason": reason, "stop_sequence": None}
    events += [named("message_delta", delta=delta, usage=_ANTHROPIC_OUTPUT), named("message_stop")]
    return b"".join(events)


_GEMINI_USAGE = {
    "promptTokenCount": ASKED,
    "cachedContentTokenCount": CACHED,
    "candidatesTokenCount": ANSWERED - REASONED,
    "thoughtsTokenCount": REASONED,
    "totalTokenCount": ASKED + ANSWERED,
}


def _gemini_calls(scene: Scene) -> list[dict[str, Any]]:
    """The calls; only the first of several is signed, and only where the model has thought."""
    parts = [gemini_wire.call(one.name, one.arguments or None) for one in scene.calls]
    for part, call in zip(parts, scene.calls, strict=True):
        part["functionCall"]["id"] = call.id
    if parts and scene.thought:
        parts[0]["thoughtSignature"] = SIGNATURE
    return parts


def _gemini_whole(scene: Scene, reason: str) -> bytes:
    parts = [gemini_wire.text(scene.thought, thought=True)] if scene.thought else []
    parts += [gemini_wire.text(scene.text)] if scene.text else []
    candidate = gemini_wire.said(*parts, *_gemini_calls(scene), finish=reason)
    return json.dumps(gemini_wire.response(candidate, usageMetadata=_GEMINI_USAGE)).encode()


def _gemini_stream(scene: Scene, reason: str) -> bytes:
    parts = [gemini_wire.text(piece, thought=True) for piece in _pieces(scene.thought)]
    parts += [gemini_wire.text(piece) for piece in _pieces(scene.text)]
    chunks = [
        gemini_wire.response(gemini_wire.said(part)) for part in [*parts, *_gemini_calls(scene)]
    ]
    end = gemini_wire.said(gemini_wire.text(""), finish=reason)
    chunks.append(gemini_wire.response(end, usageMetadata=_GEMINI_USAGE))
    return gemini_wire.body(*chunks)


_BEDROCK_USAGE = bedrock_wire.usage(ASKED - CACHED, ANSWERED, cacheReadInputTokens=CACHED)


def _bedrock_whole(scene: Scene, reason: str) -> bytes:
    blocks: list[dict[str, Any]] = []
    if scene.thought:
        thought = {"text": scene.thought, "signature": SIGNATURE}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    if scene.text:
        blocks.append({"text": scene.text})
    blocks += [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in scene.calls
    ]
    return bedrock_wire.whole(*blocks, reason=reason, usage=_BEDROCK_USAGE)


def _bedrock_stream(scene: Scene, reason: str) -> bytes:
    frames, index = [bedrock_wire.START], 0
    if scene.thought:
        frames += [bedrock_wire.thought(index, text=piece) for piece in _pieces(scene.thought)]
        frames += [bedrock_wire.thought(index, signature=SIGNATURE), bedrock_wire.end_of(index)]
        index += 1
    if scene.text:
        frames += [bedrock_wire.piece(index, text=piece) for piece in _pieces(scene.text)]
        frames.append(bedrock_wire.end_of(index))
        index += 1
    for call in scene.calls:
        frames.append(bedrock_wire.call(index, call.id, call.name, *call.fragments))
        index += 1
    frames.append(bedrock_wire.stop(reason))
    frames.append(bedrock_wire.event("metadata", usage=_BEDROCK_USAGE, metrics={"latencyMs": 1}))
    return b"".join(frames)


_COHERE_USAGE = {
    "billed_units": {"input_tokens": ASKED, "output_tokens": ANSWERED},
    "tokens": {"input_tokens": ASKED, "output_tokens": ANSWERED},
    "cached_tokens": CACHED,
}


def _cohere_whole(scene: Scene, reason: str) -> bytes:
    content = [{"type": "thinking", "thinking": scene.thought}] if scene.thought else []
    content += [{"type": "text", "text": scene.text}] if scene.text else []
    said: dict[str, Any] = {"role": "assistant", "content": content}
    if scene.calls:
        said["tool_calls"] = [_openai_call(one, json.dumps(one.arguments)) for one in scene.calls]
    answer = {"id": "a", "finish_reason": reason, "message": said, "usage": _COHERE_USAGE}
    return json.dumps(answer).encode()


def _cohere_stream(scene: Scene, reason: str) -> bytes:
    events: list[Any] = [cohere_wire.START]
    for kind, write, words in (
        ("thinking", cohere_wire.thought, scene.thought),
        ("text", cohere_wire.text, scene.text),
    ):
        if words:
            events.append(cohere_wire.block(kind))
            events += [write(piece) for piece in _pieces(words)]
            events.append(cohere_wire.END_OF_CONTENT)
    for call in scene.calls:
        events += cohere_wire.call(call.id, call.name, *call.fragments)
    events.append(cohere_wire.end(reason, usage=_COHERE_USAGE))
    return cohere_wire.body(*events)


def _pieces(text: str) -> list[str]:
    """A text as a stream brings it."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


_WRITERS = {
    "openai": (_openai_whole, _openai_stream),
    "anthropic": (_anthropic_whole, _anthropic_stream),
    "gemini": (_gemini_whole, _gemini_stream),
    "bedrock": (_bedrock_whole, _bedrock_stream),
    "cohere": (_cohere_whole, _cohere_stream),
}
