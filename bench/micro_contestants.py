"""Who is measured: the local limiter, and two packages that many Python services use instead.

They do not do the same. Ours counts requests, tokens and running calls of all workers, and settles each
reservation; `limits` counts the requests of one process in a moving window; `pyrate-limiter` draws tokens
from a bucket of one process that refills steadily. Each is used as its documentation says.
"""

import time
from array import array
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pyrate_limiter import (
    AbstractBucket,
    BucketFactory,
    Duration,
    Limiter,
    MonotonicClock,
    Rate,
    RateItem,
    StateBucket,
    TokenBucket,
)

from bench.micro_record import MicroSettings
from limiter.demand import Demand, Limits, Refusal
from limiter.known_subject import digest_of
from limiter.local import LocalLimiter
from limiter.row import CELLS, LAST
from limiter.table import Table
from limiter.window import RING

ASKED: Final = 500  # tokens of a call
USED: Final = 400
PLENTY: Final = 10**9
BUSY_KEYS: Final = 1_000  # up to so many are in use in every minute
LIMITS: Final = Limits(requests=PLENTY, tokens=PLENTY * ASKED, concurrency=PLENTY)
FILL_SECONDS: Final = 50.0  # of the virtual clock: within a window
OTHER_BYTES: Final = 128 << 20  # more than any cache of the processor has
CPU = time.process_time


class Refused(Exception):
    """A contestant refused what is within its limits, so that something else would be measured."""


class Measured(Protocol):
    """Something that does one operation for each key, which is named by a number."""

    name: str

    def round(self, chosen: Sequence[int]) -> float:
        """Go over these keys, one after the other; the seconds of CPU time that took. Raises Refused."""

    def rest(self) -> None:
        """What goes on between two rounds and is not measured."""


class Contestant(Measured, Protocol):
    """Something that limits keys."""

    def meet(self, keys: int) -> None:
        """Have every key reserved once."""

    def shared_bytes(self) -> int:
        """What lies in one worker's file."""


class Ours:
    """The tables of several workers of one machine. The first one's reservations are measured."""

    name = "this limiter: reserve and settle"

    def __init__(self, folder: Path, settings: MicroSettings) -> None:
        self._tables = [Table.open(folder) for _ in range(settings.workers)]
        self._limiters = [LocalLimiter(table) for table in self._tables]
        self._tick = 1.0 / settings.rate
        self._now = time.monotonic()
        self._busy: list[list[Demand]] = []

    def meet(self, keys: int) -> None:
        """Give every key a row in every worker's region, within one window."""
        began = self._now
        for number in range(keys):
            self._now = began + FILL_SECONDS * number / keys
            demands = _demands(number)
            for limiter in self._limiters:
                _take(limiter, demands, self._now)
        if keys <= BUSY_KEYS:
            self._busy = [_demands(number) for number in range(keys)]

    def round(self, chosen: Sequence[int]) -> float:
        """Reserve and settle, as the first worker. The demands are made before, as the gateway does."""
        asked = [_demands(number) for number in chosen]
        limiter, now, tick = self._limiters[0], self._now, self._tick
        reserve = limiter.reserve
        began = CPU()
        for demands in asked:
            now += tick
            taken = reserve(demands, tokens=ASKED, now=now)
            if isinstance(taken, Refusal):
                raise Refused(str(taken))
            taken.settle(tokens=USED, now=now)
        spent = CPU() - began
        self._now = now
        return spent

    def rest(self) -> None:
        """The other workers serve busy keys too, so that their rows have something in them."""
        for demands in self._busy:
            for limiter in self._limiters[1:]:
                _take(limiter, demands, self._now)

    def shared_bytes(self) -> int:
        """The blocks that the first worker's file has."""
        own = self._tables[0].own
        if own is None:
            raise Refused("the table holds no region")
        file = self._tables[0].folder / f"region-{own.index:02}"
        return file.stat().st_blocks * 512

    def places(self, chosen: Sequence[int]) -> list[tuple[memoryview, "array[int]"]]:
        """A word in each line of the cache that reservations of these keys need from the shared table."""
        digests = [digest_of(_demands(number)[0].subject) for number in chosen]
        found = [
            (region.words, array("q", [region.row_of(*digest) for digest in digests]))
            for region in filter(None, self._tables[0].places)
        ]
        words, rows = found[0]
        cells = array("q", [row + CELLS + 2 * (words[row + LAST] % RING) for row in rows])
        return [*found, (words, cells)]


class BareReads:
    """Reading one word of each line that a reservation needs, and nothing else.

    What this takes longer for any key than for one is what the memory of this machine takes.
    """

    name = "bare reads of the same lines"

    def __init__(self, ours: Ours) -> None:
        self._places = ours.places
        self._other = bytes(OTHER_BYTES)

    def round(self, chosen: Sequence[int]) -> float:
        """Read them, after something else has filled the processor's caches."""
        asked = self._places(chosen)
        self._other.count(1)
        began = CPU()
        for words, places in asked:
            for at in places:
                words[at]
        return CPU() - began

    def rest(self) -> None:
        """Nothing goes on."""


def _demands(number: int) -> list[Demand]:
    return [Demand(subject=f"key:{number}", limits=LIMITS)]


def _take(limiter: LocalLimiter, demands: list[Demand], now: float) -> None:
    taken = limiter.reserve(demands, tokens=ASKED, now=now)
    if isinstance(taken, Refusal):
        raise Refused(str(taken))
    taken.settle(tokens=USED, now=now)


class LimitsPackage:
    """`limits` with its moving window in memory: one entry for each request of the last minute."""

    name = f"limits {version('limits')}: moving window, hit"

    def __init__(self) -> None:
        self._item = RateLimitItemPerMinute(PLENTY)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._keys = 0

    def meet(self, keys: int) -> None:
        """Hit every key once."""
        self._keys = keys
        self.round(range(keys))

    def round(self, chosen: Sequence[int]) -> float:
        """One hit each."""
        names = [f"key:{number}" for number in chosen]
        hit, item = self._limiter.hit, self._item
        began = CPU()
        for name in names:
            if not hit(item, name):
                raise Refused(name)
        return CPU() - began

    def rest(self) -> None:
        """Begin busy keys anew: their windows would grow as no minute of real use does."""
        if self._keys <= BUSY_KEYS:
            self._limiter = MovingWindowRateLimiter(MemoryStorage())
            self.meet(self._keys)

    def shared_bytes(self) -> int:
        """Nothing is shared."""
        return 0


class BucketOfEachKey(BucketFactory):
    """Leads a key to its bucket, which is made when it is first asked for."""

    def __init__(self) -> None:
        self._clock = MonotonicClock()
        self._rates = [Rate(PLENTY * ASKED, Duration.MINUTE)]
        self._buckets: dict[str, StateBucket] = {}

    def wrap_item(self, name: str, weight: int = 1) -> RateItem:
        """Stamp what is asked with the time."""
        return RateItem(name, self._clock.now(), weight=weight)

    def get(self, item: RateItem) -> AbstractBucket:
        """The key's bucket. It needs no leaking: its state is two numbers."""
        bucket = self._buckets.get(item.name)
        if bucket is None:
            bucket = self._buckets[item.name] = StateBucket(self._rates, TokenBucket())
        return bucket


class PyrateLimiter:
    """`pyrate-limiter` with a token bucket for each key, in memory."""

    name = f"pyrate-limiter {version('pyrate-limiter')}: token bucket, try_acquire"

    def __init__(self) -> None:
        self._limiter = Limiter(BucketOfEachKey())

    def meet(self, keys: int) -> None:
        """Draw from every key's bucket once."""
        self.round(range(keys))

    def round(self, chosen: Sequence[int]) -> float:
        """Draw the tokens of a call each."""
        names = [f"key:{number}" for number in chosen]
        acquire = self._limiter.try_acquire
        began = CPU()
        for name in names:
            if not acquire(name, ASKED, blocking=False):
                raise Refused(name)
        return CPU() - began

    def rest(self) -> None:
        """Nothing goes on."""

    def shared_bytes(self) -> int:
        """Nothing is shared."""
        return 0
