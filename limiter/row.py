"""One subject's row in one worker's region: running totals, gauges, and a ring of cells.

A row has one writer, the worker that holds the region; every other worker reads it at any moment, without a
lock. What a reader may meet halfway is therefore decided by the order of the writer's stores, and each
order below has one aim: a reader may see more than the truth for an instant, never less.

- A cell is two words. The first carries its bucket's number beside its count of requests; the tokens lie in
  the second. A cell whose bucket is too old counts for nothing, so nothing need be cleared when time passes,
  even hours.
- `LAST`, the newest bucket, is stored before a cell is taken over from the bucket 64 before. A reader to
  whom that old bucket still counts reads `LAST` after the cells, and finds out that its clock is stale.
- The running totals are raised before the cells and lowered after them. They never lie below the cells, so
  where they fit the limit, the cells need not be added up.
- The gauges belong to one tenure of the region. The running calls of a worker that died are gone, and so is
  what it held: the next tenure has another number, and gauges that carry the old one count for nothing.

Words are 64 bits, signed, and aligned, which makes each load and store of one whole. A row begins at
a multiple of 64 bytes, as a line of the processor's cache does: what every reservation reads of others' rows
is one such line, and what it writes of its own are two, because a cell's two words lie side by side. With
a million subjects, that is what a reservation waits for.
"""

from array import array
from typing import Final, NamedTuple

from limiter.errors import StaleTime
from limiter.window import BUCKETS, RING, SLACK, Cell

HIGH: Final = 0  # the subject's digest: two words
LOW: Final = 1
LAST: Final = 2
REQUESTS: Final = 3
TOKENS: Final = 4
IN_FLIGHT: Final = 5  # tenure << 32 | calls in flight
HELD: Final = 6  # nano-dollars; means nothing where IN_FLIGHT is of another tenure
FIRST: Final = 7  # the writer's own note: no cell of an earlier bucket holds anything
CELLS: Final = 8  # two words each: bucket << 32 | requests, and tokens
ROW_WORDS: Final = CELLS + 2 * RING

COUNT: Final = (1 << 32) - 1
NEVER: Final = -1  # before every bucket
EMPTY: Final = memoryview(array("q", bytes(8 * ROW_WORDS))).toreadonly()


def advance(words: memoryview, row: int, bucket: int) -> int:
    """Bring a row up to `bucket` and forget what is too old. Returns the bucket that takes amounts now.

    A row never goes back: for a `bucket` before its last one, the last one takes them.
    """
    last = words[row + LAST]
    if bucket <= last:
        return last
    words[row + LAST] = bucket
    first, forgotten = words[row + FIRST], bucket - BUCKETS
    if last < forgotten:
        words[row + REQUESTS] = words[row + TOKENS] = 0
        words[row + FIRST] = bucket
    elif first < forgotten:
        requests, tokens = _held_between(words, row, max(first, last - BUCKETS), forgotten)
        words[row + REQUESTS] -= requests
        words[row + TOKENS] -= tokens
        words[row + FIRST] = forgotten
    _take_over(words, row, bucket)
    return bucket


def _held_between(words: memoryview, row: int, oldest: int, end: int) -> tuple[int, int]:
    """The requests and tokens in the cells of `oldest` and later, before `end`: sixty at most, at least one.

    Nothing in their places is younger, but what was never taken over since may be older.
    """
    cells = row + CELLS
    start, stop = cells + 2 * (oldest % RING), cells + 2 * (end % RING)
    if start < stop:
        found = words[start:stop].tolist()
    else:
        found = words[start : row + ROW_WORDS].tolist() + words[cells:stop].tolist()
    floor = oldest << 32
    counting = [pair for pair in zip(found[::2], found[1::2], strict=True) if pair[0] >= floor]
    return sum(cell & COUNT for cell, _ in counting), sum(tokens for _, tokens in counting)


def _take_over(words: memoryview, row: int, bucket: int) -> None:
    """Empty the cell of `bucket`: the number last, which gives the tokens their meaning."""
    cell = row + CELLS + 2 * (bucket % RING)
    words[cell + 1] = 0
    words[cell] = bucket << 32


def mend(words: memoryview, row: int, tenure: int) -> None:
    """Make a row of an earlier tenure ours: its windows go on, its gauges start at zero.

    Whoever had it may have died between any two stores. All that can have left is a total above its cells
    and a last cell that was not taken over yet.
    """
    last = words[row + LAST]
    if words[row + CELLS + 2 * (last % RING)] >> 32 != last:
        _take_over(words, row, last)
    words[row + FIRST] = last - BUCKETS
    cells = cells_since(words, row, last - BUCKETS)
    words[row + REQUESTS] = sum(cell.requests for cell in cells)
    words[row + TOKENS] = sum(cell.tokens for cell in cells)
    words[row + HELD] = 0
    words[row + IN_FLIGHT] = tenure << 32


def cells_since(words: memoryview, row: int, oldest: int) -> list[Cell]:
    """The cells of `oldest` and later that hold anything, and those ahead of the reader's time too."""
    ring = words[row + CELLS : row + ROW_WORDS].tolist()
    floor = oldest << 32
    return [
        Cell(cell >> 32, cell & COUNT, tokens)
        for cell, tokens in zip(ring[::2], ring[1::2], strict=True)
        if cell >= floor and (cell & COUNT or tokens)
    ]


def counting_cells(words: memoryview, row: int, bucket: int) -> list[Cell]:
    """The cells that count in `bucket`, exactly. Raises `StaleTime` if some may be overwritten."""
    last = words[row + LAST]
    if last < bucket - BUCKETS:
        return []
    cells = cells_since(words, row, bucket - BUCKETS)
    if words[row + LAST] > bucket + SLACK:
        raise StaleTime("the time given lies more than three buckets behind the table")
    return cells


class Window(NamedTuple):
    """What counts in a row, and the newest buckets that hold some of it, `NEVER` where none does."""

    requests: int
    tokens: int
    newest_requests: int
    newest_tokens: int


NOTHING: Final = Window(0, 0, NEVER, NEVER)


def in_window(words: memoryview, row: int, bucket: int) -> Window:
    """What counts in `bucket`. Raises `StaleTime` as `counting_cells` does.

    Of a row that is used just now the running totals are enough: whoever brought it up to this bucket has
    taken out of them what is forgotten.
    """
    if words[row + LAST] == bucket:
        requests, tokens = words[row + REQUESTS], words[row + TOKENS]
        cell = row + CELLS + 2 * (bucket % RING)
        if words[cell] & COUNT and words[cell + 1] and words[row + LAST] == bucket:
            return Window(requests, tokens, bucket, bucket)
    cells = counting_cells(words, row, bucket)
    if not cells:
        return NOTHING
    return Window(
        sum(cell.requests for cell in cells),
        sum(cell.tokens for cell in cells),
        max((cell.bucket for cell in cells if cell.requests), default=NEVER),
        max((cell.bucket for cell in cells if cell.tokens), default=NEVER),
    )


def in_use(words: memoryview, row: int, tenure: int) -> tuple[int, int]:
    """The gauges: calls in flight and nano-dollars held, both zero unless they are of `tenure`."""
    calls = words[row + IN_FLIGHT]
    return (calls & COUNT, words[row + HELD]) if calls >> 32 == tenure else (0, 0)
