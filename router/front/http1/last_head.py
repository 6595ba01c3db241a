"""The head of a connection's last request, which most often comes again with the next one.

A client sends the same headers with each of its requests, but for the length of the body. So the bytes of a
head are kept with what was read from them: the same bytes mean the same, and where only the digits of the
length are others, only the length is. Nothing is read by other rules than the first time.
"""

import re
from typing import Final

import msgspec

from router.front.http1.message import RequestHead

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_MOST_DIGITS: Final = 18


class LastHead:
    """A head as it lay in the bytes, and as it was understood."""

    __slots__ = ("_after", "_before", "_head", "_place", "_raw")

    def __init__(self, raw: bytes, head: RequestHead) -> None:
        self._raw = raw
        self._head = head
        # A sound head has one such line at most, and none within another.
        found = _LENGTH.search(raw)
        self._before = raw[: found.start(1)] if found is not None else b""
        self._after = raw[found.end(1) :] if found is not None else b""
        self._place = next(
            (at for at, (name, _) in enumerate(head.headers) if name == b"content-length"), 0
        )

    def again(self, data: bytes) -> tuple[RequestHead, int] | None:
        """Return the head that `data` begins with and where it ends, if it is this one but for its length."""
        if data.startswith(self._raw):
            return self._head, len(self._raw)
        start = len(self._before)
        if not start or not data.startswith(self._before):
            return None
        stop = data.find(self._after[:1], start, start + _MOST_DIGITS + 1)
        digits = data[start:stop] if stop > start else b""
        if not digits.isdigit() or not data.startswith(self._after, stop):
            return None
        headers = self._head.headers.copy()
        headers[self._place] = (b"content-length", digits)
        head = msgspec.structs.replace(self._head, headers=headers, body_bytes=int(digits))
        return head, stop + len(self._after)
