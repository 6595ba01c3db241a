"""The lines of an answer's head, each of which is read once.

What a line says does not depend on its neighbours: a folded line, which is the rest of the one above it, is
refused. And most lines of an answer come again in the next, from the same provider and often from others. So
what was read from a line is kept by its bytes; the same bytes mean the same.

The grammar is that of RFC 9112 (4 and 5) and RFC 9110 (5.1 and 5.5), without what they let a reader forgive.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

MOST_LINES: Final = 2_000
MOST_KEPT_BYTES: Final = 4 * 1024  # so much at a time; what is longer than that is read anew

# HTTP/2.0 is what some write who mean 1.1; nothing follows on such a connection.
_STATUS_LINE: Final = re.compile(
    rb"HTTP/(0\.9|1\.[01]|2\.0) ([1-9][0-9]{2})(?: ([^\x00\n-\r]*))?", re.DOTALL
)
_HEADER: Final = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):([\t -~\x80-\xff]*)")


@lru_cache(maxsize=MOST_LINES)
def read_status_line(line: bytes) -> tuple[int, bool]:
    """Return the status, and whether by its version another answer may follow. Raises ValueError."""
    matched = _STATUS_LINE.fullmatch(line)
    if matched is None:
        raise ValueError("its first line is not that of an answer")
    return int(matched[2]), matched[1] == b"1.1"


def read_headers(lines: list[bytes], size: int) -> Iterable[tuple[bytes, bytes]]:
    """Return the headers of whole lines, of `size` bytes in all; names are in lower case.

    Raises ValueError while they are taken, quoting nothing.
    """
    return map(_kept_header if size <= MOST_KEPT_BYTES else _header, lines)


def _header(line: bytes) -> tuple[bytes, bytes]:
    matched = _HEADER.fullmatch(line)
    if matched is None:
        raise ValueError("a line of its head is no header")
    return matched[1].lower(), matched[2].strip(b" \t")


_kept_header = lru_cache(maxsize=MOST_LINES)(_header)
