"""The meter: a stream without a cap goes on for as long as there is credit for it, and then ends cleanly.

It starts with what the estimate says that it will cost. When it has written nearly that much, more is held, a
step at a time, of half as much again as it has written; when nothing more can be held it is ended as if its
cap had been reached (`length`). So calls that run at once share what there is, none of them sets aside what
only the longest answer would need, and the longest asks seldom.
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from router.billing.hold import Hold

# What is written is counted from bytes, and the provider may count more tokens in them.
MARGIN: Final = 1.15
MORE_TOKENS: Final = 32
STEP_TOKENS: Final = 1_000

_ROUNDED: Final = 4  # more tokens than are lost where figures are rounded


class Meter:
    """Watches one stream.

    `held`: nano-dollars that are held for it. `tokens_of(bytes)`: how many tokens so much of its text is.
    `hold_more(wanted, least)`: holds `wanted` nano-dollars more, or down to `least`; returns how many, or 0.
    """

    __slots__ = ("_held", "_hold", "_hold_more", "_paid", "_tokens_of")

    def __init__(
        self,
        hold: Hold,
        *,
        held: int,
        tokens_of: Callable[[int], int],
        hold_more: Callable[[int, int], Awaitable[int]],
    ) -> None:
        self._hold = hold
        self._held = held
        self._tokens_of = tokens_of
        self._hold_more = hold_more
        self._paid = hold.output_for(held)

    def covers(self, output_bytes: int) -> bool:
        """Whether what is held pays for a stream that has written so much, and a little more."""
        return self._paid is None or self._tokens(output_bytes) <= self._paid

    def covers_up_to(self, output_bytes: int) -> float:
        """Return to how many bytes a stream that has written so much may go before this is asked again.

        That is half of the way that is left, if its bytes go on to make as many tokens: what is known of
        that may change meanwhile. -1 where what it has written is not covered.
        """
        if self._paid is None:
            return inf
        tokens = self._tokens(output_bytes)
        if tokens > self._paid:
            return -1
        way = max(0, self._paid - tokens - _ROUNDED)
        return output_bytes + output_bytes * way // (2 * tokens)

    async def allows(self, output_bytes: int) -> bool:
        """Whether a stream that has written so much may go on. When cancelled, nothing more is held."""
        tokens = self._tokens(output_bytes)
        while not self.covers(output_bytes):
            price = self._hold.cost_of
            wanted = price(tokens + max(STEP_TOKENS, tokens // 2)) - self._held
            more = await self._hold_more(wanted, price(tokens) - self._held)
            if not more:
                return False
            self._held += more
            self._paid = self._hold.output_for(self._held)
        return True

    def _tokens(self, output_bytes: int) -> int:
        return int(self._tokens_of(output_bytes) * MARGIN) + MORE_TOKENS
