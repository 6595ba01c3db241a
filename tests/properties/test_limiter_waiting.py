"""Waiting, played through: nobody is overtaken or forgotten, and whoever comes when told is let in.

The oracles are written to be obvious: a list of admissions that is summed up anew for each question, and a
row of servers. All times are multiples of an eighth of a second, which floats hold exactly, so
that the moments at which something expires can be met to the point.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import floor, inf
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from limiter.queue import Full, Ticket, WaitingLines
from limiter.turns import Shortage, Turns

EIGHTHS = st.integers(0, 8 * 30).map(lambda count: count / 8.0)
LONGEST_PAUSE = 0.25


def exact_expiry(moment: float) -> float:
    return moment + 60.0


def bucket_expiry(moment: float) -> float:
    """One-second buckets, each counted until the last of what it may hold has expired."""
    return floor(moment) + 61.0


@dataclass
class Window:
    """One limit by brute force: everything that was ever admitted."""

    limit: int
    expiry: Callable[[float], float]
    admitted: list[tuple[float, int]] = field(default_factory=list)

    def used(self, now: float) -> int:
        return sum(amount for moment, amount in self.admitted if self.expiry(moment) > now)

    def fits(self, amount: int, now: float) -> bool:
        return self.used(now) + amount <= self.limit

    def shortage(self, subject: str, amount: int, now: float) -> Shortage:
        expiries = sorted((self.expiry(moment), taken) for moment, taken in self.admitted)
        coming = [(expires - now, taken) for expires, taken in expires_after(expiries, now)]
        return Shortage(
            subject=subject,
            kind="tokens",
            asked=amount,
            free=self.limit - self.used(now),
            coming=coming,
        )


def expires_after(expiries: list[tuple[float, int]], now: float) -> list[tuple[float, int]]:
    return [(expires, taken) for expires, taken in expiries if expires > now]


AMOUNTS = st.integers(1, 100)
ASKS = st.lists(st.tuples(EIGHTHS, AMOUNTS, st.integers(1, 10), st.integers(0, 8)), max_size=40)


def preloaded(
    limit: int, taken: list[tuple[float, int]], expiry: Callable[[float], float]
) -> Window:
    """A window that was used before the play begins at 0, as far as its limit allowed."""
    window = Window(limit, expiry)
    for before, amount in sorted(taken, reverse=True):
        if window.fits(amount, -before):
            window.admitted.append((-before, amount))
    return window


TAKEN = st.lists(st.tuples(EIGHTHS, AMOUNTS), max_size=10)


@given(TAKEN, ASKS, st.sampled_from([exact_expiry, bucket_expiry]), st.booleans())
def test_whoever_comes_back_when_told_is_admitted(
    taken: list[tuple[float, int]],
    asks: list[tuple[float, int, int, int]],
    expiry: Callable[[float], float],
    punctual: bool,
) -> None:
    """All are refused once, at different times, on two limits; they come when told or a little late."""
    tokens = preloaded(100, taken, expiry)
    requests = preloaded(10, [(before, 1) for before, _ in taken], expiry)
    turns = Turns(late_seconds=1.0, horizon_seconds=1e9, most_moments=1_000)
    events: list[tuple[float, int, int, int, bool]] = []
    late = {}
    for order, (moment, amount, second, lateness) in enumerate(asks):
        heappush(events, (moment, order, amount, second, False))
        late[order] = 0.0 if punctual else lateness / 8.0
    admitted = 0
    while events:
        now, order, amount, second, returns = heappop(events)
        if returns:
            assert tokens.fits(amount, now)
            assert requests.fits(second, now)
            tokens.admitted.append((now, amount))
            requests.admitted.append((now, second))
            admitted += 1
            continue
        shortages = [
            tokens.shortage("tokens", amount, now),
            requests.shortage("requests", second, now),
        ]
        promise = turns.promise(shortages, now=now)
        heappush(events, (promise.moment + late[order], order, amount, second, True))
    assert admitted == len(asks)


@given(TAKEN, st.lists(AMOUNTS, max_size=60))
def test_nobody_is_told_to_wait_longer_than_a_line_would(
    taken: list[tuple[float, int]], amounts: list[int]
) -> None:
    """Refused at once, they are told the very moments at which a line served without loss moves on."""
    window = preloaded(100, taken, exact_expiry)
    turns = Turns(occupied_seconds=60.0, late_seconds=0.0, horizon_seconds=1e9, most_moments=1_000)
    told = [
        turns.promise([window.shortage("a", amount, 0.0)], now=0.0).moment for amount in amounts
    ]
    served = []
    now = 0.0
    for amount in amounts:
        while not window.fits(amount, now):
            now = min(
                window.expiry(moment)
                for moment, _ in window.admitted
                if window.expiry(moment) > now
            )
        window.admitted.append((now, amount))
        served.append(now)
    assert told == served


@given(TAKEN, st.lists(st.tuples(AMOUNTS, st.booleans()), min_size=1, max_size=40))
def test_withdrawn_promises_leave_no_trace(
    taken: list[tuple[float, int]], asks: list[tuple[int, bool]]
) -> None:
    """Once all are withdrawn, the next is told what the first was."""
    window = preloaded(100, taken, exact_expiry)
    turns = Turns(horizon_seconds=1e9, most_moments=1_000)
    fresh = turns.promise([window.shortage("a", 100, 0.0)], now=0.0)
    promises = [fresh]
    for amount, at_once in asks:
        promises.append(turns.promise([window.shortage("a", amount, 0.0)], now=0.0))
        if at_once:
            promises[-1].withdraw()
    for promise in promises:
        promise.withdraw()
    assert turns.promise([window.shortage("a", 100, 0.0)], now=0.0).moment == fresh.moment


@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_lines_behave_as_lists_do(rng: Random, steps: int) -> None:
    lines = WaitingLines(most_per_key=4, most_in_all=9)
    model: dict[str, list[Ticket]] = {key: [] for key in "abc"}
    now = 0.0
    for _ in range(steps):
        now += rng.random()
        key = rng.choice("abc")
        mine = model[key]
        match rng.randrange(4):
            case 0 | 1:
                entered = lines.enter(
                    key, now=now, fits_after=rng.choice([None, 0.1]), deadline=now
                )
                everybody = sum(map(len, model.values()))
                assert isinstance(entered, Full) == (everybody == 9 or len(mine) == 4)
                if isinstance(entered, Ticket):
                    mine.append(entered)
            case 2 if mine:
                gone = mine.pop(rng.randrange(len(mine)))
                was_head = lines.is_head(gone)
                assert lines.leave(gone, now=now) is (mine[0] if was_head and mine else None)
            case _:
                assert lines.ended(key, now=now) is (mine[0] if mine else None)
        for name, tickets in model.items():
            assert lines.waiting(name) == len(tickets)
            assert lines.must_wait(name) == bool(tickets)
            assert [lines.is_head(ticket) for ticket in tickets[:1]] == [True] * bool(tickets)
            assert all(ticket.try_at < inf for ticket in tickets[:1])
            assert all(ticket.try_at == inf for ticket in tickets[1:])
        assert lines.count == sum(map(len, model.values()))


@dataclass
class Call:
    """A call that takes one of its key's places. `told`: whether its end is seen by the queue."""

    key: str
    arrives: float
    lasts: float
    told: bool = True
    patience: float = inf
    started: float | None = None

    @property
    def ends(self) -> float:
        assert self.started is not None
        return self.started + self.lasts


class Play:
    """Calls come, wait, start and end, as a shell around the queue would let them."""

    def __init__(self, calls: list[Call], *, places: int) -> None:
        self.places = places
        self.now = 0.0
        self.arrivals = sorted(calls, key=lambda call: call.arrives)
        self.lines = WaitingLines(most_per_key=1_000, most_in_all=1_000)
        self.running: dict[str, list[Call]] = {call.key: [] for call in calls}
        self.waiting: dict[Ticket, Call] = {}
        self.idle_since: dict[str, float] = {}

    def run(self) -> None:
        while self.arrivals or self.waiting:
            self.now = self.next_moment()
            self.end_calls()
            self.let_in()
            self.try_heads()
            self.check_no_place_is_left_unused()
        assert self.lines.count == 0

    def next_moment(self) -> float:
        ends = [call.ends for calls in self.running.values() for call in calls]
        comes = [call.arrives for call in self.arrivals[:1]]
        return max(self.now, min([*ends, *comes, *(ticket.wake_at for ticket in self.waiting)]))

    def end_calls(self) -> None:
        for key, calls in self.running.items():
            ended = [call for call in calls if call.ends <= self.now]
            self.running[key] = [call for call in calls if call.ends > self.now]
            if any(call.told for call in ended):
                self.lines.ended(key, now=self.now)

    def let_in(self) -> None:
        while self.arrivals and self.arrivals[0].arrives <= self.now:
            call = self.arrivals.pop(0)
            if self.lines.must_wait(call.key) or not self.starts(call):
                deadline = self.now + call.patience
                ticket = self.lines.enter(
                    call.key, now=self.now, fits_after=None, deadline=deadline
                )
                assert isinstance(ticket, Ticket)
                self.waiting[ticket] = call

    def try_heads(self) -> None:
        while due := [ticket for ticket in self.waiting if ticket.wake_at <= self.now]:
            ticket = due[0]
            refused = ticket.try_at <= self.now and not self.starts(self.waiting[ticket])
            if refused and ticket.deadline > self.now:
                self.lines.postponed(ticket, now=self.now, fits_after=None)
            else:
                self.lines.leave(ticket, now=self.now)
                del self.waiting[ticket]

    def starts(self, call: Call) -> bool:
        if len(self.running[call.key]) >= self.places:
            return False
        call.started = self.now
        self.running[call.key].append(call)
        return True

    def check_no_place_is_left_unused(self) -> None:
        for key, calls in self.running.items():
            if len(calls) < self.places and self.lines.waiting(key):
                since = self.idle_since.setdefault(key, self.now)
                assert self.now - since <= LONGEST_PAUSE + 1e-9
            else:
                self.idle_since.pop(key, None)


CALLS = st.lists(
    st.builds(
        Call,
        key=st.sampled_from("ab"),
        arrives=EIGHTHS,
        lasts=st.integers(1, 80).map(lambda count: count / 8.0),
        told=st.booleans(),
        patience=st.sampled_from([0.5, 3.0, inf]),
    ),
    max_size=30,
)


def starts(calls: list[Call], key: str) -> list[float | None]:
    mine = sorted((call for call in calls if call.key == key), key=lambda call: call.arrives)
    return [call.started for call in mine]


def copies(calls: list[Call], **changes: object) -> list[Call]:
    return [Call(**{**vars(call), **changes}) for call in calls]


@given(CALLS, st.integers(1, 3))
def test_nobody_is_overtaken_and_only_the_impatient_go_without(
    calls: list[Call], places: int
) -> None:
    Play(calls, places=places).run()
    for key in "ab":
        served = [moment for moment in starts(calls, key) if moment is not None]
        assert served == sorted(served)
    for call in calls:
        assert call.started is not None or call.patience < inf
        assert call.started is None or call.started <= call.arrives + call.patience


@given(CALLS, st.integers(1, 3))
def test_a_line_moves_on_as_soon_as_a_call_of_this_process_ends(
    calls: list[Call], places: int
) -> None:
    """Then it is the textbook's queue before a row of servers, without any loss."""
    patient = copies(calls, told=True, patience=inf)
    Play(patient, places=places).run()
    for key in "ab":
        free_at = [0.0] * places
        expected = []
        mine = sorted((call for call in patient if call.key == key), key=lambda call: call.arrives)
        for call in mine:
            expected.append(max(call.arrives, heappop(free_at)))
            heappush(free_at, expected[-1] + call.lasts)
        assert starts(patient, key) == expected


@given(CALLS, st.integers(1, 3))
def test_keys_never_wait_for_each_other(calls: list[Call], places: int) -> None:
    together = copies(calls)
    Play(together, places=places).run()
    for key in "ab":
        alone = copies([call for call in calls if call.key == key])
        Play(alone, places=places).run()
        assert starts(alone, key) == starts(together, key)
