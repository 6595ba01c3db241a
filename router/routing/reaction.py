"""What follows from each way in which an attempt can fail: one table, as data.

A failure raises four questions. May the same key be asked again? May another candidate be asked? How long
before the same key is? And what is held against whom? The answers are a matter of policy and of nothing
else, so they stand in one place; the race reads them here, and `docs/reference/failures.md` repeats them
for people (a test compares the two).

Enum values are the words of that page.
"""

from enum import Enum
from typing import Final

import msgspec

from router import errors


class SameKey(Enum):
    """Whether the same upstream key is asked again."""

    NEVER = "never"
    AFTER_RETRY_AFTER = "after Retry-After, never before"
    AFTER_BACKOFF = "after a backoff"
    ONCE_IF_ALONE = "once, if alone"  # alone: no other usable candidate in the same tier


class NextCandidate(Enum):
    """Whether the next candidate is asked."""

    AT_ONCE = "at once"
    NEVER = "never"
    LARGER_CONTEXT = "only a larger-context fallback"
    OPTED_IN = "only if opted in"
    OPENS_URLS = "only one that opens URLs itself"
    RESCUE = "only as a rescue"  # the client holds part of the answer already


class Wait(Enum):
    """What passes before the same key is asked again."""

    NONE = "none"
    RETRY_AFTER = "Retry-After"
    BACKOFF = "backoff"
    BACKOFF_OR_RETRY_AFTER = "backoff, or Retry-After if longer"


class Mark(Enum):
    """What is held against whom; `EndpointHealth` and `KeyHealth` carry it out."""

    NOTHING = "nothing"
    PENALISE = "endpoint penalised"
    PARK_KEY = "key parked"
    KILL_KEY = "key dead"


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `told`: whether the provider gave a Retry-After; `None`: either way."""

    failure: type[errors.GatewayError]
    told: bool | None = None
    when: str
    same_key: SameKey
    next_candidate: NextCandidate
    wait: Wait = Wait.NONE
    mark: Mark


REACTIONS: Final[tuple[Reaction, ...]] = (
    Reaction(
        failure=errors.UpstreamUnreachable,
        when="refused, reset, DNS or TLS failure, before an answer",
        same_key=SameKey.ONCE_IF_ALONE,
        next_candidate=NextCandidate.AT_ONCE,
        mark=Mark.PENALISE,
    ),
    Reaction(
        failure=errors.UpstreamTimeout,
        when="nothing within a limit",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.AT_ONCE,
        mark=Mark.PENALISE,
    ),
    Reaction(
        failure=errors.UpstreamRateLimited,
        told=True,
        when="429 with Retry-After",
        same_key=SameKey.AFTER_RETRY_AFTER,
        next_candidate=NextCandidate.AT_ONCE,
        wait=Wait.RETRY_AFTER,
        mark=Mark.PARK_KEY,
    ),
    Reaction(
        failure=errors.UpstreamRateLimited,
        told=False,
        when="429 without Retry-After",
        same_key=SameKey.AFTER_BACKOFF,
        next_candidate=NextCandidate.AT_ONCE,
        wait=Wait.BACKOFF,
        mark=Mark.PARK_KEY,
    ),
    Reaction(
        failure=errors.UpstreamOverloaded,
        when="500, 502, 503, 504, 529",
        same_key=SameKey.ONCE_IF_ALONE,
        next_candidate=NextCandidate.AT_ONCE,
        wait=Wait.BACKOFF_OR_RETRY_AFTER,
        mark=Mark.PENALISE,
    ),
    Reaction(
        failure=errors.UpstreamKeyRejected,
        when="401, 402, 403",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.AT_ONCE,
        mark=Mark.KILL_KEY,
    ),
    Reaction(
        failure=errors.UpstreamInvalid,
        when="an answer that cannot be understood",
        same_key=SameKey.ONCE_IF_ALONE,
        next_candidate=NextCandidate.AT_ONCE,
        mark=Mark.PENALISE,
    ),
    Reaction(
        failure=errors.StreamBroken,
        when="cut, stalled or unreadable, once the client has part of the answer",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.RESCUE,
        mark=Mark.PENALISE,
    ),
    Reaction(
        failure=errors.ContextLengthExceeded,
        when="400, longer than the model's context",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.LARGER_CONTEXT,
        mark=Mark.NOTHING,
    ),
    Reaction(
        failure=errors.ContentRefused,
        when="400, refused by a content policy",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.OPTED_IN,
        mark=Mark.NOTHING,
    ),
    Reaction(
        failure=errors.FileNotFetched,
        when="400, a URL that could not be fetched for a provider that wants bytes",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.OPENS_URLS,
        mark=Mark.NOTHING,
    ),
    Reaction(
        failure=errors.UpstreamRefusal,
        when="any other 4xx",
        same_key=SameKey.NEVER,
        next_candidate=NextCandidate.NEVER,
        mark=Mark.NOTHING,
    ),
)

_BY_FAILURE: Final = {
    (row.failure, told): row
    for row in REACTIONS
    for told in (True, False)
    if row.told in {None, told}
}


def reaction_to(error: errors.GatewayError, *, retry_after: float | None) -> Reaction:
    """Return the row for an attempt's failure; `retry_after` is what the provider said, in seconds.

    A class that has no row of its own is treated as the one it derives from. Raises `LookupError` for an
    error that no attempt ends with: such a one is about the request, not about who was asked.
    """
    for kind in type(error).__mro__:
        row = _BY_FAILURE.get((kind, retry_after is not None))
        if row is not None:
            return row
    raise LookupError(f"{type(error).__name__} is no attempt's failure")
