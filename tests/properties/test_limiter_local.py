"""Any order of reservations, endings, restarts, deaths and leaps of the clock, against a plain list.

Several workers share the table, as so many tables in one process. After each step the engine must say what
the list says: never more, or a limit could be exceeded (I2), and never less, or a call would be refused that
fits. Directories are tiny, so that rows are recycled and directories grow on the way.
"""

import math
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from limiter.debts import LocalDebts
from limiter.demand import Demand, EndedTwice, Limits, Refusal
from limiter.known_subject import digest_of
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.row import LAST, REQUESTS, TOKENS, cells_since
from limiter.table import Table
from tests.conftest import SIZE
from tests.properties.limiter_oracle import Call, Debt, Oracle

WORKERS = 3
SUBJECTS = [
    Demand(subject="key:tight", limits=Limits(requests=3, tokens=100, concurrency=2), credit=50),
    Demand(subject="key:wide", limits=Limits(requests=30, tokens=300)),
    Demand(subject="account:calls", limits=Limits(concurrency=3)),
    Demand(subject="account:money", limits=Limits(), credit=60),
    Demand(subject="model:tokens", limits=Limits(tokens=150)),
    Demand(subject="tier:none", limits=Limits()),
    Demand(subject="key:nothing", limits=Limits(requests=0)),
]
STEPS = st.sampled_from(
    [
        0.0,
        0.001,
        0.3,
        0.5,
        1.0,
        2.5,
        7.0,
        30.0,
        59.0,
        59.999,
        60.0,
        60.5,
        61.0,
        64.0,
        65.0,
        3600.0,
        1e5,
    ]
)
SOME = st.lists(st.sampled_from(SUBJECTS[:6]), min_size=1, max_size=3, unique_by=id)
MOSTLY_SOME = SOME | SOME | SOME | st.just([SUBJECTS[1], SUBJECTS[6]])
ASKED = st.sampled_from([0, 1, 10, 33, 50, 99, 100, 101])
CREDITS = st.sampled_from([0, 1, 20, 50, 51])
USED = st.sampled_from([0, 1, 10, 33, 50, 100, 250])
OWED = st.sampled_from(
    [0, 0, 1, 20, 50, 70]
)  # of more than was held, too: the provider's count decides


class Worker:
    def __init__(self, folder: Path, bucket_seconds: float) -> None:
        self.table = Table.open(folder, bucket_seconds=bucket_seconds, first_capacity=8)
        self.limiter = LocalLimiter(self.table)

    def die(self) -> None:
        """Let the region fall free as the kernel does it, without a word to anybody."""
        assert self.table.own is not None
        self.table._roster.let_go(self.table.own.index)


class LimiterMachine(RuleBasedStateMachine):
    bucket_seconds = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.oracle = Oracle(self.bucket_seconds)
        self.now = 1000.0
        self.running: list[tuple[LocalReservation, Call]] = []
        self.holding: list[tuple[LocalReservation, Call]] = []
        self.owed: list[Debt] = []
        self.unpaid: list[tuple[LocalDebts, list[Debt]]] = []
        self.dead: list[Worker] = []
        self.strangers = 0
        self.workers = [Worker(self.folder, self.bucket_seconds) for _ in range(WORKERS)]

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        self.now += step * self.bucket_seconds

    @rule(
        worker=st.integers(0, WORKERS - 1),
        demands=MOSTLY_SOME,
        tokens=ASKED,
        credit=CREDITS,
        patient=st.booleans(),
    )
    def reserve(
        self, worker: int, demands: list[Demand], tokens: int, credit: int, patient: bool
    ) -> None:
        answer = self.try_to_reserve(self.workers[worker], demands, tokens, credit)
        if isinstance(answer, Refusal) and answer.fits_after is not None and patient:
            self.wait_for_it(answer, self.workers[worker], demands, tokens, credit)

    def try_to_reserve(
        self, worker: Worker, demands: list[Demand], tokens: int, credit: int
    ) -> LocalReservation | Refusal:
        in_the_way = self.oracle.obstacles(demands, tokens, credit, self.now)
        answer = worker.limiter.reserve(demands, tokens=tokens, credit=credit, now=self.now)
        if isinstance(answer, Refusal):
            assert in_the_way, f"refused, though it fits: {answer}"
            assert in_the_way[answer.subject, answer.kind] == answer.used
            assert (answer.fits_after is None) == (self.first_fit(demands, tokens, credit) is None)
        else:
            assert not in_the_way, f"admitted, though {in_the_way} are in the way"
            call = self.oracle.take(worker, demands, tokens=tokens, credit=credit, now=self.now)
            self.running.append((answer, call))
            self.no_true_window_is_over_its_limit(demands)
        return answer

    @rule(worker=st.integers(0, WORKERS - 1), demands=MOSTLY_SOME, credit=CREDITS)
    def hold_more(self, worker: int, demands: list[Demand], credit: int) -> None:
        """Credit for a call that runs: no request, and no other call."""
        limiter = self.workers[worker].limiter
        in_the_way = self.oracle.obstacles(demands, 0, credit, self.now, calls=0)
        answer = limiter.reserve(demands, tokens=0, credit=credit, calls=0, now=self.now)
        if isinstance(answer, Refusal):
            assert in_the_way[answer.subject, answer.kind] == answer.used
        else:
            assert not in_the_way, f"held, though {in_the_way} are in the way"
            part = self.oracle.hold(self.workers[worker], demands, credit=credit)
            self.holding.append((answer, part))

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        part, held = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        part.release(now=self.now)
        self.oracle.release(held)
        self.cannot_end_again(part, ValueError)

    def first_fit(self, demands: list[Demand], tokens: int, credit: int) -> float | None:
        """The first moment, of all at which something is forgotten, when the call would fit.

        It is tried in the middle of its bucket, where rounding plays no part.
        """
        buckets = {
            entry.time // self.bucket_seconds + 61
            for entry in self.oracle.entries
            if entry.counts(self.now)
        }
        for bucket in sorted(buckets):
            middle = (bucket + 0.5) * self.bucket_seconds
            if not self.oracle.obstacles(demands, tokens, credit, middle):
                return bucket * self.bucket_seconds
        return None

    def no_true_window_is_over_its_limit(self, demands: list[Demand]) -> None:
        for demand in demands:
            requests, tokens = self.oracle.in_true_window(demand.subject, self.now)
            assert requests <= (
                math.inf if demand.limits.requests is None else demand.limits.requests
            )
            assert tokens <= (math.inf if demand.limits.tokens is None else demand.limits.tokens)

    def wait_for_it(
        self, refusal: Refusal, worker: Worker, demands: list[Demand], tokens: int, credit: int
    ) -> None:
        """Just before the moment it is refused again, and at the moment it is admitted."""
        assert refusal.fits_after is not None
        moment = self.now + refusal.fits_after
        expected = self.first_fit(demands, tokens, credit)
        assert expected is not None
        assert moment == pytest.approx(expected, abs=1e-6)
        self.now = max(self.now, moment - 1e-4 * self.bucket_seconds)
        assert isinstance(self.try_to_reserve(worker, demands, tokens, credit), Refusal)
        self.now = moment
        assert not isinstance(self.try_to_reserve(worker, demands, tokens, credit), Refusal)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), used=USED, owed=OWED)
    def settle(self, data: st.DataObject, used: int, owed: int) -> None:
        reservation, call = self.pick(data)
        reservation.settle(tokens=used, now=self.now, owed=owed)
        self.owed.append(self.oracle.settle(call, tokens=used, now=self.now, owed=owed))
        self.cannot_end_again(reservation)

    @rule(index=st.integers(0, WORKERS - 1))
    def take_debts(self, index: int) -> None:
        taken = take_debts(self.workers[index], self.owed)
        if taken is not None:
            self.unpaid.append(taken)

    @precondition(lambda self: self.unpaid)
    @rule(data=st.data(), again=st.booleans())
    def pay(self, data: st.DataObject, again: bool) -> None:
        """Also what a worker owed that has closed its table since: paying must change nothing then."""
        debts, of_these = self.unpaid.pop(data.draw(st.integers(0, len(self.unpaid) - 1)))
        pay(self.oracle, debts, of_these)
        if again:
            debts.paid()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        reservation, call = self.pick(data)
        reservation.release(now=self.now)
        self.oracle.release(call)
        self.cannot_end_again(reservation)

    def pick(self, data: st.DataObject) -> tuple[LocalReservation, Call]:
        return self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    def cannot_end_again(
        self, reservation: LocalReservation, unsettled: type[Exception] = EndedTwice
    ) -> None:
        assert reservation.ended
        with pytest.raises(EndedTwice):
            reservation.release(now=self.now)
        with pytest.raises(unsettled):
            reservation.settle(tokens=1, now=self.now)

    @rule(index=st.integers(0, WORKERS - 1), how_many=st.sampled_from([1, 5, 30]))
    def strangers_come(self, index: int, how_many: int) -> None:
        """Subjects that are seen once push the others' rows out, if those are idle."""
        for _ in range(how_many):
            self.strangers += 1
            subject = Demand(subject=f"key:{self.strangers}", limits=Limits(requests=1))
            answer = self.workers[index].limiter.reserve([subject], tokens=1, now=self.now)
            assert not isinstance(answer, Refusal)
            answer.settle(tokens=1, now=self.now)

    @rule(index=st.integers(0, WORKERS - 1))
    def restart(self, index: int) -> None:
        self.workers[index].table.close()
        self.forget_calls_of(self.workers[index])
        self.replace(index)

    @rule(index=st.integers(0, WORKERS - 1), at_once=st.booleans())
    def die(self, index: int, at_once: bool) -> None:
        worker = self.workers[index]
        worker.die()
        self.running = [pair for pair in self.running if pair[1].owner is not worker]
        self.holding = [pair for pair in self.holding if pair[1].owner is not worker]
        self.unpaid = [pair for pair in self.unpaid if pair[1][0].owner is not worker]
        self.dead.append(worker)
        if at_once:
            self.replace(index)
        else:
            other = self.workers[(index + 1) % WORKERS].limiter
            in_flight, held = self.oracle.running("key:tight")
            standing = other.standing("key:tight", now=self.now)
            assert (standing.in_flight, standing.held_credit) == (in_flight, held)
            self.replace(index)

    def replace(self, index: int) -> None:
        """Whoever comes next writes off the calls of the dead."""
        self.workers[index] = Worker(self.folder, self.bucket_seconds)
        for worker in self.dead:
            self.forget_calls_of(worker)

    def forget_calls_of(self, worker: Worker) -> None:
        self.oracle.write_off(worker)
        self.running = [pair for pair in self.running if pair[1].owner is not worker]
        self.holding = [pair for pair in self.holding if pair[1].owner is not worker]

    @invariant()
    def i2_every_worker_says_what_the_list_says(self) -> None:
        for index, demand in enumerate(SUBJECTS):
            worker = self.workers[index % WORKERS]
            standing = worker.limiter.standing(demand.subject, now=self.now)
            used = standing.used_requests, standing.used_tokens
            assert used == self.oracle.used(demand.subject, self.now), demand.subject
            gauges = standing.in_flight, standing.held_credit
            assert gauges == self.oracle.running(demand.subject), demand.subject

    @invariant()
    def running_totals_are_never_below_the_cells(self) -> None:
        for worker in self.workers:
            for demand in SUBJECTS:
                for region in filter(None, worker.table.places):
                    row = region.row_of(*digest_of(demand.subject))
                    if row > 0:
                        words = region.words
                        cells = cells_since(words, row, words[row + LAST] - 60)
                        assert words[row + REQUESTS] >= sum(cell.requests for cell in cells)
                        assert words[row + TOKENS] >= sum(cell.tokens for cell in cells)

    def teardown(self) -> None:
        for worker in [*self.workers, *self.dead]:
            worker.table.close()
        self.place.cleanup()


class ShortBucketsMachine(LimiterMachine):
    """Buckets whose length is no binary fraction, so that rounding has its say."""

    bucket_seconds = 0.05


STEPPED = settings(stateful_step_count=40)
TestI2Local = LimiterMachine.TestCase
TestI2Local.settings = settings(STEPPED, max_examples=40 * SIZE)
TestI2LocalShortBuckets = ShortBucketsMachine.TestCase
TestI2LocalShortBuckets.settings = settings(STEPPED, max_examples=20 * SIZE)


def test_i1_random_lifecycles_end_with_every_counter_exactly_what_the_log_says(
    tmp_path: Path,
) -> None:
    rng = Random(4)
    oracle = Oracle()
    workers = [Worker(tmp_path, 1.0) for _ in range(WORKERS)]
    now = 1000.0
    running: list[tuple[LocalReservation, Call]] = []
    owed: list[Debt] = []
    unpaid: list[tuple[LocalDebts, list[Debt]]] = []
    ended = 0
    while ended < 2000 * SIZE:
        now += rng.choice([0.0, 0.01, 0.2, 1.0])
        oracle.entries = [entry for entry in oracle.entries if entry.counts(now)]
        worker = rng.choice(workers)
        demands = rng.sample(SUBJECTS[:6], rng.randint(1, 4))
        tokens, credit = rng.randint(0, 40), rng.randint(0, 20)
        answer = worker.limiter.reserve(demands, tokens=tokens, credit=credit, now=now)
        if isinstance(answer, Refusal):
            ended += 1  # a lifecycle too: it must leave no trace
        else:
            call = oracle.take(worker, demands, tokens=tokens, credit=credit, now=now)
            running.append((answer, call))
        while running and (len(running) > 4 or rng.random() < 0.4):
            reservation, call = running.pop(rng.randrange(len(running)))
            owed += end_one_way_or_another(rng, oracle, reservation, call, now)
            ended += 1
        if rng.random() < 0.3 and (taken := take_debts(rng.choice(workers), owed)):
            unpaid.append(taken)
        while unpaid and (len(unpaid) > 3 or rng.random() < 0.5):
            pay(oracle, *unpaid.pop(rng.randrange(len(unpaid))))
        if ended % 50 == 0:
            says_what_the_log_says(workers, oracle, now)
    for reservation, call in running:
        owed += end_one_way_or_another(rng, oracle, reservation, call, now)
    says_what_the_log_says(workers, oracle, now)
    unpaid += filter(None, (take_debts(worker, owed) for worker in workers))
    for debts, of_these in unpaid:
        pay(oracle, debts, of_these)
    says_what_the_log_says(workers, oracle, now)
    assert all(oracle.running(demand.subject) == (0, 0) for demand in SUBJECTS)
    for worker in workers:
        worker.table.close()


def end_one_way_or_another(
    rng: Random, oracle: Oracle, reservation: LocalReservation, call: Call, now: float
) -> list[Debt]:
    """End it; what is left to pay for it, if anything."""
    if rng.random() < 0.3:
        reservation.release(now=now)
        oracle.release(call)
        return []
    used = rng.choice([0, call.entries[0].tokens, rng.randint(0, 80)])
    owed = rng.choice([0, call.credit, rng.randint(0, 30)])
    reservation.settle(tokens=used, now=now, owed=owed)
    return [oracle.settle(call, tokens=used, now=now, owed=owed)]


def take_debts(worker: Worker, owed: list[Debt]) -> tuple[LocalDebts, list[Debt]] | None:
    """Take a worker's debts, and those of the list that they are made of."""
    debts = worker.limiter.take_debts()
    of_these = [debt for debt in owed if debt.owner is worker]
    owed[:] = [debt for debt in owed if debt.owner is not worker]
    assert (debts is not None) == any(debt.amount and debt.subjects for debt in of_these)
    return None if debts is None else (debts, of_these)


def pay(oracle: Oracle, debts: LocalDebts, of_these: list[Debt]) -> None:
    debts.paid()
    for debt in of_these:
        oracle.pay(debt)


def says_what_the_log_says(workers: list[Worker], oracle: Oracle, now: float) -> None:
    for demand in SUBJECTS:
        requests, tokens = oracle.used(demand.subject, now)
        in_flight, held = oracle.running(demand.subject)
        for worker in workers:
            standing = worker.limiter.standing(demand.subject, now=now)
            assert (standing.used_requests, standing.used_tokens) == (requests, tokens)
            assert (standing.in_flight, standing.held_credit) == (in_flight, held)
