"""JSON that somebody else wrote: what reading it can raise, and what counts as saying nothing.

msgspec checks the grammar of every value, but UTF-8 only in the text it hands out; values that pass
through as `msgspec.Raw` need `check_utf8`. A nest deeper than the interpreter's recursion limit makes
it raise `RecursionError`, which must cost its sender an error and never us a traceback.
"""

import codecs
from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

ABSENT: Final = msgspec.Raw(b"")  # what no JSON can be
NULL: Final = msgspec.Raw(b"null")
EMPTY: Final = (NULL, msgspec.Raw(b'""'), msgspec.Raw(b"[]"), msgspec.Raw(b"{}"))
FALSY: Final = (*EMPTY, msgspec.Raw(b"false"), msgspec.Raw(b"0"))

_PIECE_BYTES: Final = 64 * 1024


def check_utf8(data: bytes) -> None:
    """Raise `UnicodeDecodeError` unless the data is UTF-8; takes little memory however long it is."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), _PIECE_BYTES):
        decoder.decode(view[start : start + _PIECE_BYTES])
    decoder.decode(b"", final=True)


def starts_with(value: msgspec.Raw, mark: bytes) -> bool:
    """Tell whether the JSON of a value begins with these bytes, without copying it."""
    return memoryview(value)[: len(mark)] == mark
