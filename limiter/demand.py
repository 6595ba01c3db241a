"""What a reservation asks for, and how it is answered: the words that every engine shares.

One request draws on several subjects at once: its key, its account, its tier, its model. Each may have
a limit on requests and on tokens per window, on calls in flight, and on the credit that running calls hold.
A reservation takes from all of them or from none, and ends exactly once: settled with what was really used,
or released as if it had never been (invariant I1).
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

WINDOW_SECONDS: Final = 60.0
ANY: Final = 1 << 62  # stands for the limit where there is none: nothing adds up to it

# The most that a subject may have in use: requests, tokens, calls in flight, nano-dollars held.
Bounds = tuple[int, int, int, int]
UNBOUNDED: Final[Bounds] = (ANY, ANY, ANY, ANY)

LimitKind = Literal["requests", "tokens", "concurrency", "credit"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one subject may use: `requests` and `tokens` per window, `concurrency` at once. `None`: any."""

    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None


NO_LIMITS: Final = Limits()


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """One subject's part in a reservation.

    `subject` names it uniquely, such as `key:key_abc` or `model:openai/gpt-4o`. `credit`: the nano-dollars
    that its running calls may hold together; `None` where its credit is not counted.

    `bounds` is all of that in the form in which every reservation asks for it, `UNBOUNDED` itself where
    nothing is limited.
    """

    subject: str
    limits: Limits
    credit: int | None = None
    bounds: Bounds = UNBOUNDED

    def __post_init__(self) -> None:
        """Work out the bounds."""
        limits = self.limits
        limited = (limits.requests, limits.tokens, limits.concurrency, self.credit)
        bounds = tuple(ANY if limit is None else limit for limit in limited)
        known = UNBOUNDED if bounds == UNBOUNDED else bounds
        msgspec.structs.force_setattr(self, "bounds", known)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Which limit stood in the way. Nothing was taken from any subject.

    `fits_after`: seconds until the same reservation would fit if nobody else came before; `None` where that
    depends on running calls ending. `used` is what the subject has taken of `limit` without this request.
    """

    subject: str
    kind: LimitKind
    limit: int
    used: int
    asked: int
    fits_after: float | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a subject has in use now. The resets are seconds until its windows would be empty."""

    used_requests: int = 0
    used_tokens: int = 0
    in_flight: int = 0
    held_credit: int = 0
    requests_reset: float = 0.0
    tokens_reset: float = 0.0


class EndedTwice(RuntimeError):
    """A reservation was ended a second time: two places believe to own the request."""


# What a subject has in use in its windows: requests, tokens, and after how many seconds each would be empty.
Use = tuple[int, int, float, float]


class Reservation(Protocol):
    """What was taken, until it ends. Both ends are synchronous, so cancellation cannot interrupt them."""

    @property
    def ended(self) -> bool:
        """Whether it was settled or released."""

    @property
    def uses(self) -> Sequence[Use | None]:
        """What the subject of each demand had in use as this was taken, itself included.

        `None` where that took no looking closely, so that the engine has to be asked; empty for all of them.
        """

    def settle(self, *, tokens: int, now: float, owed: int = 0) -> None:
        """End it with the tokens that were really used; the request stays counted. Raises `EndedTwice`.

        Tokens that were reserved and not used go back to where they were taken. Those used beyond the
        reservation are counted now, past the limit if need be: whoever comes next waits for them. Of the
        credit, `owed` nano-dollars stay held, as one of the engine's `Debts`. Raises `ValueError` for one
        that took no call: that is released.
        """

    def release(self, *, now: float) -> None:
        """End it as if it had never been: the request is given back too. Raises `EndedTwice`."""


class Debts(Protocol):
    """What calls that have ended owe together: it stays held of their credit until it is paid."""

    def paid(self) -> None:
        """Free it, now that the balances have been lowered by it. Does nothing twice."""
