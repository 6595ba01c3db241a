"""A whole answer put together from its story, for dialects that read both by the same steps."""

from collections.abc import Iterable

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.middle.event import (
    Begun,
    Failed,
    Grown,
    MiddleEvent,
    PartBegun,
    Stopped,
    UsageTold,
)


def assembled(events: Iterable[MiddleEvent]) -> WholeAnswer:
    """Return the answer that the events tell. Raises `BadAnswer` if it failed, or no choice ended."""
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
        told = "The provider's answer says nothing."
        raise BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=told))
    choices = tuple(_choice(stop, parts) for stop in stops)
    return WholeAnswer(choices=choices, id=begun.id, created=begun.created, usage=usage)


def _choice(end: Stopped, parts: "dict[tuple[int, int], _Growing]") -> Choice:
    grown = tuple(part.grown() for (choice, _), part in parts.items() if choice == end.choice)
    return Choice(parts=grown, stop=end.stop, stop_sequence=end.stop_sequence)


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
        text, begun = "".join(self._pieces), self._begun
        match begun.kind:
            case "call":
                return ToolCall(
                    id=begun.id or "",
                    name=begun.name or "",
                    arguments=text or "{}",
                    signature=self._signature,
                )
            case "reasoning":
                return Reasoning(text=text, signature=self._signature, id=begun.id)
            case "redacted":
                return Reasoning(redacted=text, signature=self._signature, id=begun.id)
            case "refusal":
                return Refusal(text=text)
            case "text":
                return Text(text=text)
