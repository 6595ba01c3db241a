"""What is asked of the server and how its answers read: arguments for the scripts, structs from the replies.

A `Call` is one script call. Its first four arguments are the same for all scripts (see `window.lua`); a
`Caller` writes them. Times go over the wire in whole microseconds.
"""

import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Final, cast

import msgspec

from limiter.demand import Demand, LimitKind, Refusal, Standing
from limiter.valkey.places import Part, Place
from limiter.valkey.reservation import Note

MICROSECONDS: Final = 1_000_000


class Script(msgspec.Struct, frozen=True):
    """A script as the server knows it: by the SHA-1 of its source."""

    source: str
    digest: str


class Call(msgspec.Struct, frozen=True):
    """One call of a script."""

    script: Script
    keys: list[str]
    arguments: list[str | int]


class Taken(msgspec.Struct, frozen=True):
    """The answer that a group was taken: the bucket it went to, and the server's clock (Unix seconds)."""

    bucket: int
    at: float


def read_script(name: str) -> Script:
    """Read a script of this package, with the part that all of them share in front."""
    folder = files("limiter.valkey")
    source = "".join(
        folder.joinpath(part).read_text("utf-8") for part in ("window.lua", f"{name}.lua")
    )
    # The digest is the protocol's name for a script; nothing relies on its strength.
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class Caller:
    """Writes the calls of one gateway instance.

    `clock` replaces the server's clock in tests (microseconds).
    """

    def __init__(
        self,
        instance: str,
        *,
        bucket_seconds: float,
        alive_seconds: float,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._clock = clock
        self._same: list[str | int] = [
            round(bucket_seconds * MICROSECONDS),
            round(alive_seconds * MICROSECONDS),
            instance,
        ]
        self._reserve = read_script("reserve")
        self._settle = read_script("settle")
        self._standing = read_script("standing")

    @property
    def scripts(self) -> tuple[Script, ...]:
        """All scripts that calls may name."""
        return (self._reserve, self._settle, self._standing)

    def reserve(self, group: Sequence[Part], *, tokens: int, credit: int, calls: int) -> Call:
        """Take from all subjects of the group, or from none."""
        arguments: list[str | int] = [tokens, credit, calls]
        for _, demand in group:
            limits = demand.limits
            found = (limits.requests, limits.tokens, limits.concurrency, demand.credit)
            arguments += ["" if limit is None else limit for limit in found]
        return self._call(self._reserve, [place for place, _ in group], arguments)

    def settle(self, note: Note, figures: Sequence[int]) -> Call:
        """Correct the windows by what `note` says, and write this instance's gauges.

        `figures`: for each place of the note, the calls that this instance has in flight and the credit held.
        """
        changes = [note.bucket, note.requests_back, note.tokens]
        return self._call(self._settle, note.places, [*changes, *figures])

    def standing(self, place: Place) -> Call:
        """Ask what a subject has in use."""
        return self._call(self._standing, [place], [])

    def _call(
        self, script: Script, places: Sequence[Place], arguments: Sequence[str | int]
    ) -> Call:
        keys = [key for place in places for key in (place.window, place.gauge)]
        clock = "" if self._clock is None else self._clock()
        return Call(script, keys, [clock, *self._same, *arguments])


def read_reserve(answer: object, group: Sequence[Part]) -> Taken | Refusal:
    """Read what `reserve.lua` answered about this group."""
    fields = cast("list[bytes | int]", answer)
    if fields[0] == 1:
        return Taken(int(fields[1]), int(fields[2]) / MICROSECONDS)
    demand: Demand = group[int(fields[1]) - 1][1]
    wait = int(fields[6])
    return Refusal(
        subject=demand.subject,
        kind=cast("LimitKind", cast("bytes", fields[2]).decode()),
        limit=int(fields[3]),
        used=int(fields[4]),
        asked=int(fields[5]),
        fits_after=None if wait < 0 else wait / MICROSECONDS,
    )


def read_standing(answer: object) -> Standing:
    """Read what `standing.lua` answered."""
    requests, tokens, in_flight, held, requests_reset, tokens_reset = cast("list[int]", answer)
    return Standing(
        used_requests=requests,
        used_tokens=tokens,
        in_flight=in_flight,
        held_credit=held,
        requests_reset=requests_reset / MICROSECONDS,
        tokens_reset=tokens_reset / MICROSECONDS,
    )
