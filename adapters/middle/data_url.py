"""Bytes in an address: `data:image/png;base64,…` (RFC 2397), as clients send images and files."""

import re
from typing import Final

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,", re.IGNORECASE)
_WHITE: Final = re.compile(r"\s+")


def read_data_url(url: str) -> tuple[str, str] | None:
    """Return media type (maybe empty) and base64 of a data URL; `None` if it is none, or not base64."""
    head = _DATA_URL.match(url)
    if head is None:
        return None
    data = url[head.end() :]
    return head[1].lower(), _WHITE.sub("", data) if _WHITE.search(data) else data


def data_url(media_type: str, data: str) -> str:
    """Write base64 as a data URL."""
    return f"data:{media_type};base64,{data}"
