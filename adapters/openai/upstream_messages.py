"""A conversation, written as OpenAI's messages.

Results of tools become messages of the role `tool`, which must follow the calls at once: they go before what
else a user says in the same turn. Such a message holds text only, so images among the results follow in the
user's own message. That a result was an error cannot be said; its text says it.

Reasoning goes back as `reasoning_content` where no provider has signed it, for then it came from one that
speaks this dialect, and some of those (DeepSeek, Kimi) want it back beside calls. Marks of the cache are
left out: OpenAI caches by itself.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Final

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    Conversation,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.data_url import data_url
from adapters.openai.call_ids import fitting_id

Json = dict[str, object]

_AUDIO_FORMATS: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def messages_of(conversation: Conversation) -> list[Json]:
    """Return the messages. Raises `BadCall` for what OpenAI's chat has no words for."""
    messages: list[Json] = []
    if conversation.system:
        messages.append({"role": "system", "content": _content(conversation.system)})
    for turn in conversation.turns:
        messages += _assistant(turn) if turn.role == "assistant" else _user(turn)
    return messages


def _assistant(turn: Turn) -> Iterator[Json]:
    texts = [part for part in turn.parts if isinstance(part, Text)]
    calls = [_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    refusal = "".join([part.text for part in turn.parts if isinstance(part, Refusal)])
    thought = "".join(
        [part.text for part in turn.parts if isinstance(part, Reasoning) and not part.signature]
    )
    if not (texts or calls or refusal):
        return
    message: Json = {"role": "assistant", "content": _content(texts) if texts else None}
    if refusal:
        message["refusal"] = refusal
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    yield message


def _user(turn: Turn) -> Iterator[Json]:
    said: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            yield _result(part)
            said += [inner for inner in part.parts if isinstance(inner, Media)]
    said += [part for part in turn.parts if not isinstance(part, ToolResult)]
    if said:
        yield {"role": "user", "content": _content(said)}


def _result(result: ToolResult) -> Json:
    texts = [part for part in result.parts if isinstance(part, Text)]
    return {"role": "tool", "tool_call_id": fitting_id(result.call_id), "content": _content(texts)}


def _call(call: ToolCall) -> Json:
    return {
        "id": fitting_id(call.id),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _content(parts: Sequence[Part]) -> str | list[Json]:
    """Return one text as it is, which every imitator of OpenAI understands, else a list of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> Json:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Media(kind="image"):
            return _image(part)
        case Media(kind="audio", data=str(data), media_type=str(media_type)):
            return _audio(data, media_type)
        case Media(kind="file"):
            return _file(part)
    raise BadCall("The conversation holds a part that OpenAI's chat cannot say.", param="messages")


def _image(image: Media) -> Json:
    if image.url is not None:
        url = image.url
    elif image.data is not None:
        url = data_url(image.media_type or "image/png", image.data)
    else:
        raise BadCall("An image must come with its bytes or its address.", param="messages")
    detail = {} if image.detail is None else {"detail": image.detail}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _audio(data: str, media_type: str) -> Json:
    form = _AUDIO_FORMATS.get(media_type, media_type.partition("/")[2])
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def _file(file: Media) -> Json:
    if file.file_id is not None:
        return {"type": "file", "file": {"file_id": file.file_id}}
    if file.data is None:
        raise BadCall("A file must come with its bytes: this model fetches none.", param="messages")
    if (file.media_type or "").startswith("text/"):
        return {"type": "text", "text": _plain_text(file.data)}
    media_type = file.media_type or "application/pdf"
    return {
        "type": "file",
        "file": {"filename": file.name or "file", "file_data": data_url(media_type, file.data)},
    }


def _plain_text(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadCall("A text file must be UTF-8 in base64.", param="messages") from None
