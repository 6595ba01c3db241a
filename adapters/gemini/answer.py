"""Whole answers of Gemini, put together from what their reading tells."""

from collections.abc import Iterable

from adapters.dialect import BadAnswer, Failure, FailureKind, Usage
from adapters.gemini.error import classify_object, error_in
from adapters.gemini.reading import AnswerReading, NewId
from adapters.gemini.wire import decode_response
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Conversation, Part, Reasoning, Text, ToolCall
from adapters.middle.event import Begun, Failed, Grown, MiddleEvent, PartBegun, Stopped, UsageTold
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8


def decode_answer(conversation: Conversation, body: bytes, new_id: NewId) -> WholeAnswer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        response = decode_response(body)
    except UNREADABLE as unreadable:
        error = error_in(body)
        if error is None:
            raise _invalid(f"The provider's answer cannot be read: {unreadable}") from None
        raise BadAnswer(classify_object(error)) from None
    if response.error != NULL:
        raise BadAnswer(classify_object(response.error))
    reading = AnswerReading(conversation, new_id)
    return _assembled([*reading.take(response), *reading.finish(whole=True)])


def _assembled(events: Iterable[MiddleEvent]) -> WholeAnswer:
    begun, usage = Begun(), None
    parts: dict[tuple[int, int], _Growing] = {}
    stops: list[Stopped] = []
    for event in events:
        match event:
            case Begun():
                begun = event
            case PartBegun():
                parts[event.choice, event.part] = _Growing(event)
            case Grown():
                parts[event.choice, event.part].grow(event)
            case Stopped():
                stops.append(event)
            case UsageTold():
                usage = event.usage
            case Failed():
                raise BadAnswer(event.failure)
            case _:
                continue
    if not stops:
        raise _invalid("The provider's answer has no candidates.")
    return _whole(begun, usage, parts, stops)


def _whole(
    begun: Begun,
    usage: Usage | None,
    parts: "dict[tuple[int, int], _Growing]",
    stops: Iterable[Stopped],
) -> WholeAnswer:
    choices = tuple(
        Choice(
            parts=tuple(
                part.grown() for (choice, _), part in parts.items() if choice == end.choice
            ),
            stop=end.stop,
        )
        for end in stops
    )
    return WholeAnswer(choices=choices, id=begun.id, created=begun.created, usage=usage)


class _Growing:
    """A part while its pieces come."""

    def __init__(self, begun: PartBegun) -> None:
        self._begun = begun
        self._pieces: list[str] = []
        self._signature: str | None = None

    def grow(self, event: Grown) -> None:
        self._pieces.append(event.text)
        self._signature = event.signature or self._signature

    def grown(self) -> Part:
        text = "".join(self._pieces)
        if self._begun.kind == "call":
            return ToolCall(
                id=self._begun.id or "",
                name=self._begun.name or "",
                arguments=text,
                signature=self._signature,
            )
        if self._begun.kind == "reasoning":
            return Reasoning(text=text, signature=self._signature)
        return Text(text=text)


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
