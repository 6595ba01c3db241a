"""The form in which a body reaches the wire: event lines, shared writes, compression, fragments.

Each function takes steps and gives steps, so they can be laid one over the other in the order in
which a real server would: lines, then shared writes, then gzip, then fragments. Only those a
behaviour asks for are there at all.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

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


def named_event_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """Payloads as events that are named by their type."""
    for at, payload, ending in steps:
        block = b"event: %b\ndata: %b\n\n" % (_type(payload), payload) if payload else b""
        yield at, block, ending


def crlf_event_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """The same events with all else the format allows: CRLF, a comment, a name and a number."""
    return _crlf_event_lines(steps, lambda _: b"message")


def named_crlf_event_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """The same for events that are named by their type."""
    return _crlf_event_lines(steps, _type)


def array_items(steps: Iterable[Step]) -> Iterator[Step]:
    """Payloads as the items of one JSON array, which only a whole ending closes."""
    separator = b"["
    for at, payload, ending in steps:
        said = separator + payload if payload else b""
        if payload:
            separator = b",\r\n"
        if ending in _WHOLE_ENDINGS:
            said += b"[]" if separator == b"[" else b"]"
        yield at, said, ending


def _crlf_event_lines(steps: Iterable[Step], name_of: Callable[[bytes], bytes]) -> Iterator[Step]:
    number = 0
    for at, payload, ending in steps:
        if payload:
            block = b": simulated\r\nevent: %b\r\nid: %d\r\ndata: %b\r\n\r\n" % (
                name_of(payload),
                number,
                payload,
            )
            number += 1
            yield at, block, ending
        else:
            yield at, b"", ending


def _type(payload: bytes) -> bytes:
    """The value of the `type` that stands first in the JSON of every payload of such a dialect."""
    return payload.split(b'"', 4)[3]


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
