"""An exception as a log field.

A traceback says where, and that is always safe to tell. What an exception *says* is another matter:
it may quote the text it choked on, and that text may be somebody's prompt. So messages are left out
unless the operator asks for them, which is one meaning of log level debug here.

The result is a list of short strings, so that one event stays one line.
"""

import traceback
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Final

_MOST_LINES: Final = 40
_MOST_FRAMES: Final = 12


def describe(error: BaseException, *, messages: bool) -> list[str]:
    """Class and frames of `error`, of its causes and of the members of a group; at most 40 lines.

    Of each exception the innermost 12 frames are given as module:function:line, innermost last.
    """
    return list(islice(_lines(error, "", messages=messages, seen=set()), _MOST_LINES))


def _lines(error: BaseException, relation: str, *, messages: bool, seen: set[int]) -> Iterator[str]:
    if id(error) in seen:
        return
    seen.add(id(error))
    name = type(error).__qualname__
    yield f"{relation}{name}: {error}" if messages else f"{relation}{name}"
    yield from _frames(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _lines(cause, "because of ", messages=messages, seen=seen)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _lines(member, "holding ", messages=messages, seen=seen)


def _frames(trace: TracebackType | None) -> list[str]:
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}:{line}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return frames[-_MOST_FRAMES:]
