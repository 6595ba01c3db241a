"""Where in a client's request a URL stands, in the words in which errors name it: `messages[0].content`."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

_NAMED: Final = "url"  # how a field ends that is meant for one

_decode: Final = msgspec.json.Decoder().decode


def place_of(url: str, fields: Mapping[str, msgspec.Raw]) -> str | None:
    """Return the place of the first value that is this URL, rather of one that is called so.

    `None` where there is none, or the request is nested too deeply to tell.
    """
    try:
        found = [
            place for name, raw in fields.items() for place in _places(url, _decode(raw), name)
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    named = (place for place in found if place.endswith(_NAMED))
    return next(named, found[0] if found else None)


def _places(url: str, value: object, place: str) -> Iterator[str]:
    if value == url:
        yield place
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(url, inner, f"{place}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(url, inner, f"{place}[{index}]")
