"""What a row of the table is: a claim for each face and column, and how it is proved.

A wish is something that clients ask for, proved by what the provider is sent. A telling is something that
providers say, proved by what the client hears, of a whole answer and of a stream. Both go through the dialect
that the gateway would take to the provider that the column describes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from adapters.dialect import BadCall, FaceName
from tests.features.clients import FACES, Heard, call_of, heard, request_of
from tests.features.columns import Column
from tests.features.outcomes import DROPPED, NOTHING, REFUSED, Outcome, Said, holds
from tests.features.scenes import ANSWERED, ASKED, CACHED, REASONED, Scene

Fields = Mapping[str, Any]

_HEARD: Final = Said("as it was said")


class Row(Protocol):
    """A feature."""

    @property
    def slug(self) -> str:
        """What it is called in the names of its tests."""

    @property
    def title(self) -> str:
        """What it is called on the page."""

    @property
    def faces(self) -> Iterable[FaceName]:
        """Those that have a word for it."""

    def outcome(self, face: FaceName, column: Column) -> Outcome:
        """Return what the gateway does with it for clients of a face at the provider of a column."""

    def prove(self, face: FaceName, column: Column) -> None:
        """Fail unless the gateway does so."""


def outcome_of(found: Mapping[str, Outcome], face: FaceName, column: Column) -> Outcome:
    """Return what is claimed for face, form and column, else for the column, else for less."""
    keys = [f"{face}/{column.form}/{column.name}", column.name, f"{face}/{column.form}"]
    if column.name == column.form:  # then its name is no more than that of its form
        keys.remove(column.name)
    return next((found[key] for key in keys if key in found), found[column.form])


class Wish(msgspec.Struct, frozen=True):
    """Something that clients ask for.

    `said`: the fields in which each face says it; `beside`: what is said with it and without it; `found`: the
    outcome by form, by column, by face and form, or by all three with strokes between.
    """

    slug: str
    title: str
    said: Mapping[FaceName, Fields]
    found: Mapping[str, Outcome]
    beside: Mapping[FaceName, Fields] = {}

    @property
    def faces(self) -> Iterable[FaceName]:
        return self.said

    def outcome(self, face: FaceName, column: Column) -> Outcome:
        return outcome_of(self.found, face, column)

    def prove(self, face: FaceName, column: Column) -> None:
        without = call_of(face, self.beside.get(face, {}))
        wishing = call_of(face, self.beside.get(face, {}), self.said[face])
        match self.outcome(face, column):
            case Said(words):
                body = request_of(column, wishing)
                assert holds(body, words), (words, body)
                assert body != request_of(column, without)
            case other if other is DROPPED:
                assert request_of(column, wishing) == request_of(column, without)
            case other:
                assert other is REFUSED
                refused = refusal_of(column, wishing)
                assert refused.message
                assert refused.param is not None
                request_of(column, without)


def refusal_of(column: Column, call: Any) -> BadCall:
    """Return the refusal of a call that cannot be said to a provider."""
    try:
        body = request_of(column, call)
    except BadCall as refusal:
        return refusal
    raise AssertionError(f"it was not refused: {body}")


class Telling(msgspec.Struct, frozen=True):
    """Something that providers say.

    `scene` is what the provider says, `heard` what the client must hear in its place, field by field;
    `nothing` names the columns and forms whose providers have no such thing, and then it is `unheard`.
    """

    slug: str
    title: str
    scene: Scene
    heard: Mapping[str, Any]
    nothing: Iterable[str] = ()
    unheard: Mapping[str, Any] = {}
    faces: Iterable[FaceName] = FACES
    asked: Mapping[FaceName, Fields] = {}

    def outcome(self, face: FaceName, column: Column) -> Outcome:
        silent = {column.name, column.form} & set(self.nothing)
        return NOTHING if silent else _HEARD

    def prove(self, face: FaceName, column: Column) -> None:
        told = self.outcome(face, column) is not NOTHING
        for streamed in (False, True):
            call = call_of(face, self.asked.get(face, {}), streamed=streamed)
            found = heard(column, call, self.scene.written(column.form, streamed=streamed))
            expected = self.heard if told else self.unheard
            assert {name: getattr(found, name) for name in expected} == expected, streamed
            _counted(found)


def _counted(found: Heard) -> None:
    """Check the counts that every answer has."""
    assert (found.asked, found.answered, found.cached) == (ASKED, ANSWERED, CACHED)
    assert found.reasoning in {None, 0, REASONED}
