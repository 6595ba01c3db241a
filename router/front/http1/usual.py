"""What many answers of a server begin with: one status line, some headers and the date, made into bytes once.

Most answers say the same as the one before but for the caller's limits, the request's id and the length. So
the lines that many have in common are kept by what they say, for as long as the date among them is the same:
a second.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from router.front.http1.lines import Header, beginning

_MOST_KEPT: Final = 256


class Usual(msgspec.Struct, frozen=True, eq=False):
    """The beginning of an answer's head; `lines` is all of it as it goes out, but for the last line's end."""

    status: int
    headers: tuple[Header, ...]
    lines: bytes


class UsualHeads:
    """Gives the beginnings of answers. `date` makes that header, and gives the same object for a second.

    `closing`: the server ends, so that every answer is to be the last of its connection.
    """

    __slots__ = ("_dated", "_kept", "closing", "date")

    def __init__(self, date: Callable[[], Header]) -> None:
        self.date = date
        self.closing = False
        self._dated: Header | None = None
        self._kept: dict[tuple[int, tuple[Header, ...]], Usual] = {}

    def of(self, status: int, headers: tuple[Header, ...]) -> Usual:
        """Return the beginning with these headers and the date. Raises `ValueError` for invalid HTTP."""
        date = self.date()
        if date is not self._dated or len(self._kept) > _MOST_KEPT:
            self._dated = date
            self._kept.clear()
        usual = self._kept.get((status, headers))
        if usual is None:
            dated = (*headers, date)
            usual = Usual(status, dated, beginning(status, dated))
            self._kept[status, headers] = usual
        return usual
