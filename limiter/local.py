"""Limits for all workers of one machine, without a lock: announce, then verify.

To reserve, a worker first adds the amounts to its own rows, passes the fence, and then adds up everybody's
rows. Of any two that reserve at once, the one that passed the fence later sees the other's announcement, so
what all have been granted is never above a limit. It may be that both see each other and both withdraw
although one would have fitted. So whoever has withdrawn looks again; if it would fit now, a rival has
withdrawn as well, and it tries anew, three times in all. It does not sleep in between, because nothing here
waits: whoever is refused with `fits_after` of zero may try again after a short random pause.

Away from a limit the running totals settle it: a handful of words per worker. Near it the cells of all rows
are added up, and the answer is exact.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from limiter.debts import LocalDebts
from limiter.demand import UNBOUNDED, Demand, Refusal, Standing, Use
from limiter.errors import TableClosed
from limiter.fence import Fence
from limiter.judge import Obstacle, obstacles
from limiter.known_subject import OTHERS, OWN, Known, KnownSubjects
from limiter.local_reservation import MOST_TOKENS, LocalReservation, Part
from limiter.own_region import OwnRegion
from limiter.region import ARRIVALS, Region
from limiter.row import (
    CELLS,
    COUNT,
    HELD,
    IN_FLIGHT,
    LAST,
    NEVER,
    REQUESTS,
    TOKENS,
    advance,
    counting_cells,
    in_use,
    in_window,
)
from limiter.table import Table
from limiter.turns import Coming
from limiter.window import BUCKETS, RING, Cell, Usage, seconds_until_forgotten

ATTEMPTS: Final = 3
MOST_CREDIT: Final = 1 << 48  # nano-dollars: 281,474 dollars in one call

# What was known of a subject as its part was announced, and what its own row then had, that part included:
# calls in flight and nano-dollars held. Its requests and tokens stand in the reservation's `uses`.
Announced = tuple[Known, int, int]


class LocalLimiter:
    """Reserves from the windows and gauges of a `Table`. Belongs to one thread, as the table does.

    The time given is that of the machine's monotonic clock (`time.monotonic()`), which all workers share.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._bucket_seconds = table.bucket_seconds
        self._fence = Fence()
        self._known = KnownSubjects()
        # The bucket of now, and the moment from which on it does not count any more.
        self._newest = NEVER
        self._newest_ends = 0.0

    def reserve(
        self,
        demands: Sequence[Demand],
        *,
        tokens: int,
        credit: int = 0,
        calls: int = 1,
        now: float,
    ) -> LocalReservation | Refusal:
        """Take one request, `tokens`, a call in flight and `credit` from all subjects, or nothing from any.

        Each subject stands in `demands` once. `credit` is held where the demand's is not `None`. With `calls`
        of 0 nothing but credit is taken: a call that is running holds more of it. A refusal names the limit
        that stands longest, first those nobody knows the end of. Raises `ValueError` for amounts that are
        negative or beyond all reason, `TableClosed`, `StaleTime`, `DamagedRegion` and `OSError` (a full disk,
        say); nothing is taken then.
        """
        if not (0 <= tokens <= MOST_TOKENS and 0 <= credit <= MOST_CREDIT):
            raise ValueError(f"nobody reserves {tokens} tokens and {credit} nano-dollars")
        if calls != 1 and (calls or tokens):
            raise ValueError(f"nobody reserves {tokens} tokens for {calls} calls")
        own = self._table.own
        if own is None or own.closed:
            raise TableClosed("nothing can be reserved from a table that is closed or read only")
        attempts = ATTEMPTS
        while True:
            taken = LocalReservation(own, tokens, calls, self._bucket_seconds)
            try:
                announced = self._announce(taken, demands, credit, now)
                refusal = self._verify(taken, demands, announced, credit, now)
            except BaseException:
                taken.release(now=now)
                raise
            if refusal is None:
                return taken
            taken.release(now=now)
            if not self._table.others:
                return refusal
            without_us = self._refusal(demands, tokens=tokens, credit=credit, calls=calls, now=now)
            if without_us is not None:
                return without_us
            attempts -= 1
            if not attempts:
                return msgspec.structs.replace(refusal, fits_after=0.0)

    def take_debts(self) -> LocalDebts | None:
        """Return what calls owe that have ended since this was last asked; `None`: nothing.

        It stays held until it is paid, and it is the caller's to see to that.
        """
        own = self._table.own
        if own is None or not own.owed:
            return None
        owed, own.owed = own.owed, {}
        return LocalDebts(own, owed)

    def standing(self, subject: str, *, now: float) -> Standing:
        """What all workers together have in use of a subject. Raises `TableClosed`, `StaleTime`."""
        self._table.look()
        bucket = int(now // self._bucket_seconds)
        requests = tokens = in_flight = held = 0
        newest_requests = newest_tokens = NEVER
        for region, row, high in self._rows(subject):
            window = in_window(region.words, row, bucket)
            calls_there, held_there = in_use(region.words, row, region.tenure)
            if region.words[row] != high:
                continue  # it passed to another subject meanwhile, so ours had nothing in it
            requests += window.requests
            tokens += window.tokens
            newest_requests = max(newest_requests, window.newest_requests)
            newest_tokens = max(newest_tokens, window.newest_tokens)
            in_flight += calls_there
            held += held_there
        return Standing(
            used_requests=requests,
            used_tokens=tokens,
            in_flight=in_flight,
            held_credit=held,
            requests_reset=self._wait(newest_requests, now) if requests else 0.0,
            tokens_reset=self._wait(newest_tokens, now) if tokens else 0.0,
        )

    def schedule(self, subject: str, *, now: float) -> tuple[Coming, Coming]:
        """When the requests, and when the tokens that a subject has in use are forgotten; the soonest first.

        What is forgotten at one moment is one entry. Raises `TableClosed`, `StaleTime`.
        """
        self._table.look()
        cells = self._usage(subject, int(now // self._bucket_seconds)).cells
        requests = self._coming(((cell.bucket, cell.requests) for cell in cells), now)
        return requests, self._coming(((cell.bucket, cell.tokens) for cell in cells), now)

    def _announce(
        self, taken: LocalReservation, demands: Sequence[Demand], credit: int, now: float
    ) -> list[Announced] | None:
        """Write the amounts into our own rows, where all can see them, and say what that came to.

        `None`: they are above a limit by themselves, or a row is ahead of our time and has forgotten what
        still counts for us.
        """
        bucket = int(now // self._bucket_seconds)
        if bucket != self._newest:
            self._newest, self._newest_ends = bucket, self._wait(bucket, 0.0)
        reset = self._newest_ends - now
        own, tokens, calls = taken.own, taken.tokens, taken.calls
        words, find = own.words, self._known.get
        parts: list[Part] = []
        uses: list[Use | None] = []
        taken.parts, taken.uses = parts, uses
        announced: list[Announced] = []
        fits = True
        for demand in demands:
            known = find(demand.subject)
            row = known[OWN]
            newest = bucket
            if not row or words[row] != known[0] or words[row + LAST] != bucket:
                row, newest = self._bring_up(own, demand.subject, known, bucket)
                words = own.words  # they are mapped anew where the file had to grow
            requests, in_window = words[row + REQUESTS] + calls, words[row + TOKENS] + tokens
            in_flight, in_all = words[row + IN_FLIGHT] + calls, words[row + HELD]
            held = None
            if demand.credit is not None:
                held = credit
                words[row + HELD] = in_all = in_all + credit
            if calls:
                words[row + IN_FLIGHT] = in_flight
                words[row + REQUESTS] = requests
                words[row + TOKENS] = in_window
                cell = row + CELLS + 2 * (newest % RING)
                words[cell] += 1
                words[cell + 1] += tokens
            parts.append((row, newest, held))
            uses.append((requests, in_window, reset, reset if in_window else 0.0))
            in_flight &= COUNT
            announced.append((known, in_flight, in_all))
            most_requests, most_tokens, most_calls, most_credit = demand.bounds
            if (
                requests > most_requests
                or in_window > most_tokens
                or in_flight > most_calls
                or in_all > most_credit
                or (newest > bucket and demand.bounds is not UNBOUNDED)
            ):
                fits = False
        return announced if fits else None

    def _bring_up(self, own: OwnRegion, subject: str, known: Known, bucket: int) -> tuple[int, int]:
        """Return our row of a subject, made if there is none, and its newest bucket: `bucket`, or later."""
        row = known[OWN]
        if not row or own.words[row] != known[0]:
            row = own.row_for(known[0], known[1], bucket)
            self._known.keep(subject, OWN, row)
        return row, advance(own.words, row, bucket)

    def _verify(
        self,
        taken: LocalReservation,
        demands: Sequence[Demand],
        announced: Sequence[Announced] | None,
        credit: int,
        now: float,
    ) -> Refusal | None:
        """What stands in the way of what we have announced, or None. Raises `StaleTime`.

        It surely fits if even the running totals do, which may be too high and never too low.
        """
        table = self._table
        self._fence.acquire()
        self._fence.release()
        table.look()
        if table.version != self._known.version:
            # Somebody has come: what is known leaves that worker's rows out.
            self._known.expect(len(table.others), version=table.version)
        elif announced is not None and (
            not table.others or self._fits_beside_others(taken, demands, announced, now)
        ):
            if not taken.tokens:
                taken.doubt_uses()
            return None
        taken.uses = ()
        return self._refusal(
            demands,
            tokens=taken.tokens,
            credit=credit,
            calls=taken.calls,
            now=now,
            announced=taken.parts,
        )

    def _fits_beside_others(
        self,
        taken: LocalReservation,
        demands: Sequence[Demand],
        announced: Sequence[Announced],
        now: float,
    ) -> bool:
        """Whether it fits with what the other workers' rows have; adds that to `uses`."""
        bucket = int(now // self._bucket_seconds)
        uses: list[Use | None] = []
        for demand, ours, use in zip(demands, announced, taken.uses, strict=True):
            if demand.bounds is UNBOUNDED or use is None:
                uses.append(None)
                continue
            requests, tokens, reset, _ = use
            known, in_flight, held = ours
            exact = True
            for there, region in enumerate(self._table.others, OTHERS):
                row = known[there]
                words = region.words
                if words[ARRIVALS] != ~row if row < 0 else words[row] != known[0]:
                    row = region.row_of(known[0], known[1])
                    self._known.keep(demand.subject, there, row)
                    words = region.words
                if row < 0:
                    continue
                requests_there, tokens_there = words[row + REQUESTS], words[row + TOKENS]
                last = words[row + LAST]
                if last > bucket:
                    return False
                if last >= bucket - BUCKETS:
                    requests += requests_there
                    tokens += tokens_there
                    exact = exact and last == bucket
                calls = words[row + IN_FLIGHT]
                if calls >> 32 == region.tenure:
                    in_flight += calls & COUNT
                    held += words[row + HELD]
            most_requests, most_tokens, most_calls, most_credit = demand.bounds
            if (
                requests > most_requests
                or tokens > most_tokens
                or in_flight > most_calls
                or held > most_credit
            ):
                return False
            uses.append((requests, tokens, reset, reset if tokens else 0.0) if exact else None)
        taken.uses = uses
        return True

    def _refusal(
        self,
        demands: Sequence[Demand],
        *,
        tokens: int,
        credit: int,
        calls: int,
        now: float,
        announced: Sequence[Part] = (),
    ) -> Refusal | None:
        """Judge by the cells of all rows, not counting what we have `announced` ourselves."""
        worst: Refusal | None = None
        for index, demand in enumerate(demands):
            usage = self._usage(demand.subject, int(now // self._bucket_seconds))
            if announced:
                usage = _without(usage, announced[index], tokens, calls)
            for obstacle in obstacles(demand, usage, tokens=tokens, credit=credit, calls=calls):
                refusal = self._refuse(demand.subject, obstacle, now)
                if worst is None or _longer(refusal, worst):
                    worst = refusal
        return worst

    def _refuse(self, subject: str, obstacle: Obstacle, now: float) -> Refusal:
        return Refusal(
            subject=subject,
            kind=obstacle.kind,
            limit=obstacle.limit,
            used=obstacle.used,
            asked=obstacle.asked,
            fits_after=None if obstacle.bucket is None else self._wait(obstacle.bucket, now),
        )

    def _usage(self, subject: str, bucket: int) -> Usage:
        """Add up all rows of a subject, exactly. Raises `StaleTime`, `TableClosed`."""
        cells: list[Cell] = []
        in_flight = held = 0
        for region, row, high in self._rows(subject):
            words = region.words
            counting = counting_cells(words, row, bucket)
            calls_there, held_there = in_use(words, row, region.tenure)
            if words[row] != high:
                continue  # it passed to another subject meanwhile, so ours had nothing in it
            cells += counting
            in_flight += calls_there
            held += held_there
        return Usage(cells, in_flight, held)

    def _rows(self, subject: str) -> Iterator[tuple[Region, int, int]]:
        """Each region that has a row of the subject, with the row and the word that says whose it is."""
        table, known_subjects = self._table, self._known
        if table.version != known_subjects.version:
            known_subjects.expect(len(table.others), version=table.version)
        known = known_subjects.get(subject)
        high, low = known[0], known[1]
        for place, region in enumerate(table.places, OWN):
            if region is None:
                continue
            row, words = known[place], region.words
            # Our own place is 0 where nothing is known of it, and is for `_announce` to keep: it mends
            # a row that an earlier tenure left.
            if not row or (words[ARRIVALS] != ~row if row < 0 else words[row] != high):
                row = region.row_of(high, low)
                if place != OWN:
                    known_subjects.keep(subject, place, row)
            if row > 0:
                yield region, row, high

    def _coming(self, amounts: Iterable[tuple[int, int]], now: float) -> Coming:
        totals: Counter[int] = Counter()
        for bucket, amount in amounts:
            totals[bucket] += amount
        return [(self._wait(bucket, now), totals[bucket]) for bucket in sorted(+totals)]

    def _wait(self, bucket: int, now: float) -> float:
        return seconds_until_forgotten(bucket, now=now, bucket_seconds=self._bucket_seconds)


def _without(usage: Usage, part: Part, tokens: int, calls: int) -> Usage:
    """`usage` less what was announced."""
    _, bucket, held = part
    ours = Cell(bucket, -calls, -tokens)
    return Usage([*usage.cells, ours], usage.in_flight - calls, usage.held - (held or 0))


def _longer(refusal: Refusal, than: Refusal) -> bool:
    if refusal.fits_after is None or than.fits_after is None:
        return than.fits_after is not None
    return refusal.fits_after > than.fits_after
