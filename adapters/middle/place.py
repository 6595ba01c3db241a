"""Where in a client's request a text stands, in the words in which errors name it: `messages[0].content`."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

_decode: Final = msgspec.json.Decoder().decode


def place_of(text: str, fields: Mapping[str, msgspec.Raw]) -> str | None:
    """Return the place of the first value that is this text, `None` where there is none."""
    for name, raw in fields.items():
        found = next(_places(text, _decode(raw), name), None)
        if found is not None:
            return found
    return None


def _places(text: str, value: object, place: str) -> Iterator[str]:
    if value == text:
        yield place
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(text, inner, f"{place}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(text, inner, f"{place}[{index}]")
