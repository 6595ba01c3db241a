"""What a passed-on stream has told its client so far, for the gateway may have to end it itself.

A response ends with all of its items in one event, so they are kept: those that are done as they were told,
the open one with the text or the arguments that have come of it. From the same follows whether somebody else
could go on: where all there is is one open text.
"""

from typing import Final

import msgspec

from adapters.dialect import Beginning, ToldError, Usage
from adapters.middle.beginning import TextKeeper
from adapters.middle.event import Grown, PartBegun, PartEnded
from adapters.openai.foreign import NULL
from adapters.responses.failing import error_events
from adapters.responses.output import Json
from adapters.responses.response import ended
from adapters.sse import ServerSentEvent, encode_event


class _Named(msgspec.Struct):
    type: str | None = None
    id: str | None = None


class SeenEvent(msgspec.Struct):
    """What is read of any event."""

    type: str | None = None
    sequence_number: int | None = None
    response: msgspec.Raw = NULL
    item: msgspec.Raw = NULL
    part: msgspec.Raw = NULL
    delta: msgspec.Raw = NULL
    output_index: int = 0
    content_index: int = 0


class _OpenItem(msgspec.Struct):
    """An item that has begun: as it did, with what its open text or its arguments have come to.

    `text_is_told`: the client has that text as a whole, though not yet the part that holds it.
    """

    fields: dict[str, msgspec.Raw]
    contents: list[msgspec.Raw] = []
    pieces: list[str] = []
    has_text: bool = False
    text_is_told: bool = False


decode_event: Final = msgspec.json.Decoder(SeenEvent).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_named: Final = msgspec.json.Decoder(_Named).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


class ToldSoFar:
    """Notes the events of one stream, and writes those that end it in their place."""

    def __init__(self) -> None:
        self._response: dict[str, msgspec.Raw] = {}
        self._next_number = 0
        self._done: dict[int, msgspec.Raw] = {}
        self._open: dict[int, _OpenItem] = {}
        self._keeper = TextKeeper()
        self._item_id = ""

    def note(self, name: str, event: SeenEvent) -> None:
        """Note an event that is handed out."""
        if event.sequence_number is not None:
            self._next_number = event.sequence_number + 1
        if event.response != NULL:
            self._response = _decode_fields(event.response)
        match name:
            case "response.output_item.added":
                self._begin_item(event)
            case "response.content_part.added":
                self._begin_content(event)
            case "response.output_text.delta" | "response.function_call_arguments.delta":
                self._grow(name, event)
            case "response.output_text.done":
                self._end_text(event)
            case "response.content_part.done":
                self._end_content(event)
            case "response.output_item.done":
                self._open.pop(event.output_index, None)
                self._done[event.output_index] = event.item
                self._keeper.note(PartEnded(part=0))

    def beginning(self, usage: Usage | None) -> Beginning | None:
        """Return what a client has, if it is one open text; `usage` is what was told so far."""
        members = {
            "response": msgspec.Raw(_encode(self._response)),
            "item_id": msgspec.Raw(_encode(self._item_id)),
            "sequence_number": msgspec.Raw(_encode(self._next_number)),
        }
        return self._keeper.beginning(usage, members)

    def incomplete(self, usage: Usage) -> bytes:
        """Return the events that end the response as if it had reached its cap."""
        frames = b""
        for index, item in sorted(self._open.items()):
            frames += self._end_item(index, item)
        self._open.clear()
        response = ended(dict(self._response), self._output(), "length", usage)
        return frames + self._event("response.incomplete", response=response)

    def failed(self, error: ToldError) -> bytes:
        """Return the events that end the response with an error."""
        response: Json = {**self._response, "output": self._output()}
        return b"".join(
            [self._event(name, **fields) for name, fields in error_events(error, response)]
        )

    def _output(self) -> list[msgspec.Raw]:
        return [item for _, item in sorted(self._done.items())]

    def _begin_item(self, event: SeenEvent) -> None:
        named = _decode_named(event.item)
        self._open[event.output_index] = _OpenItem(_decode_fields(event.item))
        if named.type == "message" and event.output_index == 0:
            self._item_id = named.id or ""
        else:
            self._keeper.note(PartBegun(part=event.output_index, kind="call"))

    def _begin_content(self, event: SeenEvent) -> None:
        is_text = _decode_named(event.part).type == "output_text"
        item = self._open.get(event.output_index)
        if item is not None:
            item.pieces, item.has_text, item.text_is_told = [], is_text, False
        self._keeper.note(PartBegun(part=0, kind="text" if is_text else "refusal"))

    def _grow(self, name: str, event: SeenEvent) -> None:
        piece = _decode_text(event.delta)
        item = self._open.get(event.output_index)
        if item is not None:
            item.pieces.append(piece)
        if name == "response.output_text.delta":
            self._keeper.note(Grown(part=0, text=piece))

    def _end_text(self, event: SeenEvent) -> None:
        item = self._open.get(event.output_index)
        if item is not None:
            item.text_is_told = True
        self._keeper.note(PartEnded(part=0))

    def _end_content(self, event: SeenEvent) -> None:
        item = self._open.get(event.output_index)
        if item is not None:
            item.contents.append(event.part)
            item.has_text = False
        self._keeper.note(PartEnded(part=0))

    def _end_item(self, index: int, item: _OpenItem) -> bytes:
        """End an item in the middle of it; return the events that say so."""
        frames, said = b"", "".join(item.pieces)
        at: Json = {"item_id": item.fields.get("id", NULL), "output_index": index}
        fields: Json = {**item.fields, "status": "incomplete"}
        contents: list[object] = list(item.contents)
        if item.has_text:
            place = {**at, "content_index": len(contents)}
            part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
            contents.append(part)
            if not item.text_is_told:
                frames += self._event("response.output_text.done", **place, text=said, logprobs=[])
            frames += self._event("response.content_part.done", **place, part=part)
        if "content" in item.fields:
            fields["content"] = contents
        elif "arguments" in item.fields:
            fields["arguments"] = said
            frames += self._event("response.function_call_arguments.done", **at, arguments=said)
        self._done[index] = msgspec.Raw(_encode(fields))
        return frames + self._event("response.output_item.done", output_index=index, item=fields)

    def _event(self, name: str, /, **fields: object) -> bytes:
        data = _encode({"type": name, "sequence_number": self._next_number, **fields})
        self._next_number += 1
        return encode_event(ServerSentEvent(data, name.encode()))
