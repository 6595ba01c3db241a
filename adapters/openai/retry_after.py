"""How long an upstream asks us to wait.

`retry-after-ms` is OpenAI's own header and the finer one. `retry-after` is seconds, in the wild also
with a fraction, or an HTTP date (RFC 9110, 10.2.3). What cannot be read counts as not said.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from adapters.dialect import Headers

# Beyond any honest wait (a monthly quota), and far from what floats and headers cannot carry.
_MAX_SECONDS: Final = 31 * 24 * 3600.0


def read_retry_after(headers: Headers, now_at: float) -> float | None:
    """Return the wait in seconds, `None` if none is asked. `now_at`: unix seconds, for a date."""
    found = {name: value.decode("latin-1").strip() for name, value in headers}
    milliseconds = _number(found.get(b"retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, _MAX_SECONDS)
    text = found.get(b"retry-after", "")
    seconds = _number(text)
    if seconds is None:
        seconds = _until(text, now_at)
    return None if seconds is None else min(seconds, _MAX_SECONDS)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _until(text: str, now_at: float) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # a zone of "-0000", which means UTC all the same
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now_at)
    except (ValueError, OverflowError):
        return None
