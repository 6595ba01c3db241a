"""The form in which a body reaches the wire: event lines, shared writes, compression, fragments.

Each function takes steps and gives steps, so they can be laid one over the other in the order in
which a real server would: lines, then shared writes, then gzip, then fragments. Only those a
behaviour asks for are there at all.
"""

import zlib
from collections.abc import Iterable, Iterator

from router.simulator.behaviour import Behaviour
from router.simulator.performance import Ending, Step

_WHOLE_ENDINGS = frozenset({Ending.COMPLETE, Ending.HANG_UP})


def shaped(steps: Iterable[Step], behaviour: Behaviour) -> Iterable[Step]:
    """Lay over the forms that hold for every body."""
    if behaviour.gzip:
        steps = gzipped(steps)
    if behaviour.body_split is not None:
        steps = split(steps, behaviour.body_split)
    return steps


def event_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """Payloads as server-sent events in the usual form: one data line, one empty line."""
    for at, payload, ending in steps:
        yield at, b"data: %b\n\n" % payload if payload else b"", ending


def crlf_event_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """The same events with all else the format allows: CRLF, a comment, a name and a number."""
    number = 0
    for at, payload, ending in steps:
        if payload:
            block = b": simulated\r\nevent: message\r\nid: %d\r\ndata: %b\r\n\r\n" % (
                number,
                payload,
            )
            number += 1
            yield at, block, ending
        else:
            yield at, b"", ending


def coalesced(steps: Iterable[Step], together: int) -> Iterator[Step]:
    """So many steps as one, at the time of the last of them; the ending never waits."""
    held: list[bytes] = []
    for at, data, ending in steps:
        held.append(data)
        if ending is not None or len(held) >= together:
            yield at, b"".join(held), ending
            held.clear()


def gzipped(steps: Iterable[Step]) -> Iterator[Step]:
    """The body compressed, flushed at every step so that each event can be read when it arrives."""
    compressor = zlib.compressobj(level=1, wbits=31)
    for at, data, ending in steps:
        squeezed = compressor.compress(data)
        if ending in _WHOLE_ENDINGS:
            squeezed += compressor.flush(zlib.Z_FINISH)
        elif data:
            squeezed += compressor.flush(zlib.Z_SYNC_FLUSH)
        yield at, squeezed, ending


def split(steps: Iterable[Step], size: int) -> Iterator[Step]:
    """Every step in pieces of at most `size` bytes, due together."""
    for at, data, ending in steps:
        starts = range(0, len(data), size)
        for start in starts[:-1]:
            yield at, data[start : start + size], None
        yield at, data[starts[-1] :] if starts else b"", ending
