"""Tokens and filler: text cut into pieces, and as much of it as wanted.

A token here is a run of at most six characters with the white space before it: about the grain of
the real ones, and joining the tokens of a text gives the text back. Filler words are chosen by a
hash, so whoever knows the request can compute the same words.
"""

import hashlib
import re
from typing import Final

import msgspec

_TOKEN: Final = re.compile(r"\s*\S{1,6}|\s+")
_WORD_LIST: Final = (
    "amber anchor arch ash autumn bay birch bridge brook candle cedar cloud copper coral dawn "
    "delta drift dune echo elm ember fern field finch fjord flint forest garden glass grove "
    "harbor hazel heron hill island ivory jade lake lark lemon linen maple marsh meadow mist "
    "moon moss north oak ocean opal orchid pebble pine plum quartz rain river sand silver "
    "spruce stone willow "
)
WORDS: Final = tuple(_WORD_LIST.split())
"""Sixty-odd words of at most six letters: one token each."""


def split_tokens(text: str) -> list[str]:
    """Cut a text into tokens; joined, they are the text."""
    return _TOKEN.findall(text)


def fingerprint(*parts: object) -> bytes:
    """A hash of anything JSON can say, the same for the same content in every process."""
    encoded = msgspec.json.encode(parts, order="deterministic")
    return hashlib.blake2b(encoded, digest_size=32).digest()


def filler(key: bytes, count: int) -> list[str]:
    """So many one-word tokens, each with a leading space, chosen by the key."""
    stream = hashlib.shake_256(key).digest(count)
    return [" " + WORDS[byte % len(WORDS)] for byte in stream]
