"""A face joined to an upstream of another dialect, so that the router sees four verbs as ever.

A request is read into the middle and written for the provider; an answer comes back the same way. The
conversation is read anew for each verb: a bridge has no state, and a request is small beside its answer's
wait. An answer that began elsewhere is gone on with by providers that continue the assistant's last turn (see
`adapters.middle.rest`).
"""

import msgspec

from adapters.dialect import (
    Answer,
    BadCall,
    Beginning,
    Call,
    EncodedRequest,
    EventKind,
    Failure,
    FilesWanted,
    Headers,
    StreamDecoder,
    StreamEvent,
    Target,
    ToldError,
    Usage,
)
from adapters.middle.answer import WholeAnswer
from adapters.middle.beginning import TextKeeper
from adapters.middle.conversation import Conversation, Media, Text, ToolCall
from adapters.middle.event import (
    Begun,
    Ended,
    Failed,
    Grown,
    Malformed,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.files import unopened, with_files
from adapters.middle.halves import EventSource, EventWriter, Face, Upstream
from adapters.middle.rest import OPEN_TEXT, Rest, with_prefill
from adapters.middle.tool_name import ToolNames
from adapters.sse import Signal


class Bridge:
    """The four verbs for clients of one face at providers of another dialect.

    `continues`: these go on with an answer that has begun.
    """

    def __init__(self, face: Face, upstream: Upstream, *, continues: bool = False) -> None:
        self._face = face
        self._upstream = upstream
        self._continues = continues

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call as this provider wants it. Raises `BadCall` and `FilesWanted`."""
        conversation, names = self._read(call)
        conversation = self._with_files(conversation, call, target)
        if call.beginning is not None:
            if not self._continues:
                raise BadCall("The provider cannot go on with an answer that has begun elsewhere.")
            conversation = with_prefill(conversation, call.beginning)
        return self._upstream.encode(names.written(conversation), target, stream=call.stream)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer. Raises `BadAnswer`."""
        conversation, names = self._read(call)
        answer = names.read_answer(self._upstream.decode(names.written(conversation), body))
        told = answer.usage is not None and answer.usage.output_tokens > 0
        return Answer(
            self._face.write_answer(call, target, answer),
            answer.usage,
            0 if told else _output_bytes(answer),
        )

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for one stream."""
        conversation, names = self._read(call)
        source = self._upstream.event_source(names.written(conversation))
        if call.beginning is not None:
            source = Rest(source, call.beginning, echoes=target.echoes_prefill)
        return BridgedStream(
            source,
            self._face.event_writer(call, target),
            names,
            awaited=call.choices,
            open_text=call.beginning is not None,
            keeper=TextKeeper() if call.keeps_beginning else None,
        )

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return self._upstream.classify_error(status, headers, body, now_at=now_at)

    def _with_files(self, conversation: Conversation, call: Call, target: Target) -> Conversation:
        """Return the conversation with bytes wherever the provider opens no URL."""

        def opens(media: Media) -> bool:
            return self._upstream.opens(media, target)

        urls = unopened(conversation, opens)
        if not urls:
            return conversation
        missing = [url for url in urls if url not in call.files]
        if missing:
            raise FilesWanted(missing)
        return with_files(conversation, call.files, opens)

    def _read(self, call: Call) -> tuple[Conversation, ToolNames]:
        if call.endpoint != self._face.endpoint:
            raise BadCall(
                f"This model does not serve '{call.endpoint}'.",
                param="model",
                code="unsupported_endpoint",
            )
        conversation = self._face.conversation(call)
        if call.output_limit is not None:
            conversation = msgspec.structs.replace(conversation, most_tokens=call.output_limit)
        return conversation, ToolNames(conversation, self._upstream.tool_names)


class BridgedStream:
    """One stream on its way from an upstream's dialect to a face (see `adapters.dialect.StreamDecoder`).

    `awaited`: how many choices the call asked for. `open_text`: the stream goes on with a text that the
    client has. `keeper`: keeps the text, where a break may be mended.
    """

    def __init__(
        self,
        source: EventSource,
        writer: EventWriter,
        names: ToolNames,
        *,
        awaited: int,
        open_text: bool = False,
        keeper: TextKeeper | None = None,
    ) -> None:
        self._source = source
        self._writer = writer
        self._names = names
        self._awaited = awaited
        self._keeper = keeper
        self._usage: Usage | None = None
        self._output_bytes = 0
        self._open_parts: dict[int, list[PartBegun]] = {0: [OPEN_TEXT]} if open_text else {}
        self._finished: set[int] = set()

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""
        return self._usage

    @property
    def output_bytes(self) -> int:
        """About how many bytes of text, reasoning and calls have come so far."""
        return self._output_bytes

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""
        if self._keeper is None:
            return None
        return self._keeper.beginning(self._usage, self._writer.members())

    @property
    def complete(self) -> bool:
        """Whether every choice has come to its end."""
        return len(self._finished) >= self._awaited and self._open_parts.keys() <= self._finished

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._source.receive_data(data)

    def next_event(self) -> StreamEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        event = self._source.next_event()
        return (
            event if isinstance(event, Signal) else self._translate(self._names.read_event(event))
        )

    def text_frame(self, data: bytes) -> None:
        """Return nothing: every event is read."""

    def closing_frames(self) -> bytes:
        """Return the bytes that end a complete stream."""
        return self._writer.close()

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the bytes that end a stream here as if it had reached its cap, with this usage."""
        frames = bytearray()
        for choice in sorted(self._open_parts.keys() - self._finished):
            for begun in self._open_parts[choice]:
                frames += self._writer.write(PartEnded(choice=choice, part=begun.part))
            frames += self._writer.write(Stopped(choice=choice, stop="length"))
        return bytes(frames) + self._writer.write(UsageTold(usage)) + self._writer.close()

    def error_frames(self, error: ToldError) -> bytes:
        """Return the bytes that tell the client what became of the stream."""
        return self._writer.fail(error)

    def _translate(self, event: MiddleEvent) -> StreamEvent:
        match event:
            case Failed(failure):
                return StreamEvent(EventKind.ERROR, failure=failure)
            case Malformed():
                return StreamEvent(EventKind.MALFORMED)
            case Ended():
                return StreamEvent(EventKind.DONE, self._writer.close())
        kind = self._note(event)
        if self._keeper is not None:
            self._keeper.note(event)
        return StreamEvent(kind, self._writer.write(event))

    def _note(self, event: MiddleEvent) -> EventKind:
        """Keep the books of the stream; return what the event means to the gateway."""
        match event:
            case Begun():
                self._open_parts.setdefault(0, [])
            case PartBegun():
                self._open_parts.setdefault(event.choice, []).append(event)
            case Grown():
                self._output_bytes += len(event.text.encode())
                return EventKind.OUTPUT
            case PartEnded():
                return self._note_end(event)
            case Stopped():
                self._open_parts.setdefault(event.choice, [])
                self._finished.add(event.choice)
                return EventKind.FINISH
            case UsageTold():
                self._usage = event.usage
                return EventKind.USAGE
        return EventKind.START

    def _note_end(self, event: PartEnded) -> EventKind:
        """Note that a part is whole. A call may have nothing to it but its name, and counts all the same."""
        parts = self._open_parts.setdefault(event.choice, [])
        ended = [begun for begun in parts if begun.part == event.part]
        self._open_parts[event.choice] = [begun for begun in parts if begun.part != event.part]
        return EventKind.OUTPUT if any(begun.kind == "call" for begun in ended) else EventKind.START


def _output_bytes(answer: WholeAnswer) -> int:
    """Return about how much an answer says, to count tokens by where nobody told them."""
    said = 0
    for choice in answer.choices:
        for part in choice.parts:
            match part:
                case ToolCall():
                    said += len(part.name) + len(part.arguments.encode())
                case Text(text=text):
                    said += len(text.encode())
                case _:
                    said += len(getattr(part, "text", "").encode())
    return said
