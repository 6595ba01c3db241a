"""The choices of an answer: its content, before anyone decides how to render it.

This is where everything that shapes the content meets: the sentence, the wanted length, tools, JSON
modes, stop sequences and the token limit. Pure functions of the request, so a load test can
recompute byte for byte what it should have received.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from router.simulator.fields import ChatFields, CompletionFields, Input, inputs
from router.simulator.prose import chat_reply, completion_reply
from router.simulator.schema_example import example
from router.simulator.tool_calls import ToolCall, tool_calls
from router.simulator.words import filler, fingerprint, split_tokens

FinishReason = Literal["stop", "length", "tool_calls"]


class Choice(msgspec.Struct, frozen=True):
    """One alternative answer: text tokens, calls, or both.

    `thoughts` are the tokens of what was thought before, `stopped_by` is the stop sequence that
    ended the text.
    """

    index: int
    tokens: list[str]
    finish_reason: FinishReason
    calls: list[ToolCall] = []
    thoughts: list[str] = []
    stopped_by: str | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.tokens)

    @property
    def produced(self) -> int:
        """How many tokens it took, those of thoughts and calls included."""
        called = sum(len(call.fragments) for call in self.calls)
        return len(self.thoughts) + len(self.tokens) + called


def chat_choices(fields: ChatFields, *, tokens: int | None) -> list[Choice]:
    """The choices of a chat answer of `tokens` tokens, None for the natural length.

    Raises Refusal for a tool choice that cannot be followed.
    """
    prefill = prefill_of(fields)
    if prefill is not None:
        continued = _continued_choice(fields, prefill, tokens=tokens)
        if continued is not None:
            return [continued]
    key = fingerprint(fields.model, fields.messages, fields.seed)
    limit = fields.max_completion_tokens or fields.max_tokens
    return [
        _chat_choice(fields, key=key, index=index, tokens=tokens, limit=limit)
        for index in range(fields.n or 1)
    ]


def prefill_of(fields: ChatFields) -> str | None:
    """The text of an assistant's message that stands last, None where the last one is another."""
    last = fields.messages[-1]
    plain = last.role == "assistant" and isinstance(last.content, str) and not last.tool_calls
    return last.content if plain and isinstance(last.content, str) else None


def echoed(choice: Choice, fields: ChatFields) -> Choice:
    """The choice with the prefill, if there is one, said once more before it."""
    repeated = split_tokens(prefill_of(fields) or "")
    return msgspec.structs.replace(choice, tokens=repeated + choice.tokens)


def completion_choices(fields: CompletionFields, *, tokens: int | None) -> list[Choice]:
    """The choices of a legacy answer: `n` for every prompt, in the order of the prompts.

    Raises Refusal for a prompt of no known form.
    """
    prompts = inputs(fields.prompt, param="prompt")
    pairs = [(prompt, number) for prompt in prompts for number in range(fields.n or 1)]
    return [
        _completion_choice(fields, prompt=prompt, number=number, index=index, tokens=tokens)
        for index, (prompt, number) in enumerate(pairs)
    ]


def expected_tokens(
    request: Mapping[str, Any], *, tokens: int | None = None, choice: int = 0
) -> list[str]:
    """The text tokens of the answer to these body fields, as an upstream would receive them.

    `tokens` is the provider's answer length (of its profile or of a plan) where the request itself
    does not order one. Empty for a choice that calls tools. Raises Refusal or
    msgspec.ValidationError for fields a provider would refuse.
    """
    fields: ChatFields | CompletionFields
    if "messages" in request:
        fields = msgspec.convert(dict(request), ChatFields)
    else:
        fields = msgspec.convert(dict(request), CompletionFields)
    if fields.simulate is not None and fields.simulate.tokens is not None:
        tokens = fields.simulate.tokens
    if isinstance(fields, ChatFields):
        return chat_choices(fields, tokens=tokens)[choice].tokens
    return completion_choices(fields, tokens=tokens)[choice].tokens


def expected_text(request: Mapping[str, Any], *, tokens: int | None = None, choice: int = 0) -> str:
    """The text of the answer to these body fields; see `expected_tokens`."""
    return "".join(expected_tokens(request, tokens=tokens, choice=choice))


def _chat_choice(
    fields: ChatFields, *, key: bytes, index: int, tokens: int | None, limit: int | None
) -> Choice:
    if calls := tool_calls(fields, key=key, index=index):
        return _calling(index, calls, limit)
    reply = chat_reply(fields.model, fields.messages, key=key, index=index)
    structured = _structured(fields.response_format, reply)
    wanted = (
        _lengthened(reply, key, index, tokens) if structured is None else split_tokens(structured)
    )
    return _speaking(index, wanted, stop=fields.stop, limit=limit)


def _continued_choice(fields: ChatFields, prefill: str, *, tokens: int | None) -> Choice | None:
    """The rest of the answer to the conversation before the prefill, None where it does not begin so.

    The limit is for the rest alone, as it is for what a real model writes after a prefill.
    """
    if len(fields.messages) == 1 or (fields.n or 1) > 1:
        return None
    unlimited = msgspec.structs.replace(
        fields, messages=fields.messages[:-1], max_tokens=None, max_completion_tokens=None
    )
    (whole,) = chat_choices(unlimited, tokens=tokens)
    if whole.calls or not whole.text.startswith(prefill):
        return None
    limit = fields.max_completion_tokens or fields.max_tokens
    return _speaking(0, _after(whole.tokens, prefill), stop=None, limit=limit)


def _after(tokens: list[str], prefill: str) -> list[str]:
    """The tokens that follow a text, the first of them cut where the text ends within one."""
    start = 0
    for number, token in enumerate(tokens):
        if start >= len(prefill):
            return tokens[number:]
        start += len(token)
        if start > len(prefill):
            return [token[len(prefill) - start :], *tokens[number + 1 :]]
    return []


def _completion_choice(
    fields: CompletionFields, *, prompt: Input, number: int, index: int, tokens: int | None
) -> Choice:
    key = fingerprint(fields.model, prompt, fields.seed)
    reply = completion_reply(fields.model, prompt, key=key, index=number)
    wanted = _lengthened(reply, key, number, tokens)
    return _speaking(index, wanted, stop=fields.stop, limit=fields.max_tokens)


def _lengthened(reply: str, key: bytes, index: int, tokens: int | None) -> list[str]:
    natural = split_tokens(reply)
    if tokens is None or tokens <= len(natural):
        return natural[:tokens]
    return natural + filler(key + index.to_bytes(4, "big"), tokens - len(natural))


def _speaking(
    index: int, tokens: list[str], *, stop: str | list[str] | None, limit: int | None
) -> Choice:
    tokens, stopped_by = _stopped(tokens, [stop] if isinstance(stop, str) else stop or [])
    if limit is not None and len(tokens) > limit:
        return Choice(index, tokens[:limit], "length")
    return Choice(index, tokens, "stop", stopped_by=stopped_by)


def _stopped(tokens: list[str], stops: list[str]) -> tuple[list[str], str | None]:
    """The tokens before the first stop sequence, which is itself never part of an answer, and it."""
    if not any(stops):
        return tokens, None
    text = "".join(tokens)
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return tokens, None
    end, stop = min(found)
    return split_tokens(text[:end]), stop


def _calling(index: int, calls: list[ToolCall], limit: int | None) -> Choice:
    """A choice of calls; a limit breaks the arguments off as it breaks off text."""
    left = limit
    kept: list[ToolCall] = []
    for call in calls:
        fragments = call.fragments[:left]
        if fragments:
            kept.append(msgspec.structs.replace(call, fragments=fragments))
        left = None if left is None else left - len(fragments)
    whole = sum(len(call.fragments) for call in calls)
    cut = limit is not None and whole > limit
    return Choice(index, [], "length" if cut else "tool_calls", kept)


def _structured(response_format: dict[str, Any] | None, reply: str) -> str | None:
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return msgspec.json.encode(example(schema)).decode()
        case {"type": "json_object"}:
            return msgspec.json.encode({"answer": reply}).decode()
        case _:
            return None
