"""The local engine by examples, and with another worker acting between any two words of ours."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, overload

import pytest

from limiter.demand import Demand, Limits, Refusal, Standing
from limiter.errors import StaleTime
from limiter.local import LocalLimiter
from limiter.local_reservation import MOST_TOKENS, LocalReservation
from limiter.table import Table

NOW = 1000.25
KEY = Demand(subject="key:a", limits=Limits(requests=10, tokens=100, concurrency=5), credit=50)
CREDIT = Demand(subject="account:c", limits=Limits(), credit=100)
ACCOUNT = Demand(subject="account:a", limits=Limits(tokens=120))


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[list[Table]]:
    tables = [Table.open(tmp_path) for _ in range(3)]
    yield tables
    for table in tables:
        table.close()


@pytest.fixture
def limiter(tables: list[Table]) -> LocalLimiter:
    return LocalLimiter(tables[0])


@pytest.fixture
def other(tables: list[Table]) -> LocalLimiter:
    return LocalLimiter(tables[1])


def granted(
    limiter: LocalLimiter, *demands: Demand, tokens: int, credit: int = 0, now: float = NOW
) -> LocalReservation:
    answer = limiter.reserve(demands, tokens=tokens, credit=credit, now=now)
    assert not isinstance(answer, Refusal), answer
    return answer


def refused(
    limiter: LocalLimiter, *demands: Demand, tokens: int, credit: int = 0, now: float = NOW
) -> Refusal:
    answer = limiter.reserve(demands, tokens=tokens, credit=credit, now=now)
    assert isinstance(answer, Refusal)
    return answer


def tokens_used(limiter: LocalLimiter, now: float = NOW) -> int:
    return limiter.standing("key:a", now=now).used_tokens


def test_a_refusal_says_what_is_used_and_when_the_same_call_fits(
    limiter: LocalLimiter, other: LocalLimiter
) -> None:
    granted(limiter, KEY, tokens=30, now=1000.25)
    granted(other, KEY, tokens=50, now=1003.9)
    refusal = refused(limiter, KEY, tokens=60, now=1010.0)
    assert refusal == Refusal(
        subject="key:a", kind="tokens", limit=100, used=80, asked=60, fits_after=54.0
    )
    assert refused(limiter, KEY, tokens=50, now=1010.0).fits_after == 51.0
    granted(limiter, KEY, tokens=50, now=1061.0)


def test_nothing_is_taken_from_any_subject_when_one_refuses(
    limiter: LocalLimiter, other: LocalLimiter
) -> None:
    granted(other, ACCOUNT, tokens=100)
    refusal = refused(limiter, KEY, ACCOUNT, tokens=30, credit=5)
    assert (refusal.subject, refusal.kind) == ("account:a", "tokens")
    standing = limiter.standing("key:a", now=NOW)
    assert (standing.used_requests, standing.in_flight, standing.held_credit) == (0, 0, 0)


def test_of_several_limits_the_one_that_stands_longest_is_named(
    limiter: LocalLimiter,
) -> None:
    granted(limiter, KEY, tokens=100, now=1000.0)
    granted(limiter, ACCOUNT, tokens=120, now=1005.0)
    refusal = refused(limiter, KEY, ACCOUNT, tokens=10, now=1010.0)
    assert (refusal.subject, refusal.fits_after) == ("account:a", 56.0)
    assert refused(limiter, KEY, ACCOUNT, tokens=10, credit=51, now=1010.0).kind == "credit"


@pytest.mark.parametrize(
    ("demand", "kind"),
    [
        (Demand(subject="key:b", limits=Limits(concurrency=2)), "concurrency"),
        (Demand(subject="key:b", limits=Limits(), credit=30), "credit"),
    ],
)
def test_nobody_knows_when_running_calls_end(
    limiter: LocalLimiter, other: LocalLimiter, demand: Demand, kind: str
) -> None:
    first = granted(limiter, demand, tokens=1, credit=15)
    granted(other, demand, tokens=1, credit=15)
    refusal = refused(limiter, demand, tokens=1, credit=15)
    assert (refusal.kind, refusal.fits_after) == (kind, None)
    first.settle(tokens=1, now=NOW)
    granted(other, demand, tokens=1, credit=15)


def test_more_than_a_limit_never_fits(limiter: LocalLimiter) -> None:
    assert refused(limiter, KEY, tokens=101).fits_after is None


def test_credit_is_held_only_where_it_is_counted(limiter: LocalLimiter) -> None:
    granted(limiter, KEY, ACCOUNT, tokens=1, credit=7)
    assert limiter.standing("key:a", now=NOW).held_credit == 7
    assert limiter.standing("account:a", now=NOW).held_credit == 0


def test_more_credit_for_a_running_call_is_no_other_call(
    limiter: LocalLimiter, other: LocalLimiter
) -> None:
    full = Demand(subject="key:a", limits=Limits(requests=1, concurrency=1), credit=50)
    call = granted(limiter, full, tokens=0, credit=20)
    more = limiter.reserve([full], tokens=0, credit=25, calls=0, now=NOW)
    assert not isinstance(more, Refusal)
    standing = other.standing("key:a", now=NOW)
    assert (standing.used_requests, standing.in_flight, standing.held_credit) == (1, 1, 45)
    assert more.uses == [None]  # it did not look when the request came that it found
    assert other.reserve([full], tokens=0, credit=6, calls=0, now=NOW) == Refusal(
        subject="key:a", kind="credit", limit=50, used=45, asked=6, fits_after=None
    )
    call.settle(tokens=0, now=NOW, owed=10)
    more.release(now=NOW)
    standing = other.standing("key:a", now=NOW)
    assert (standing.used_requests, standing.in_flight, standing.held_credit) == (1, 0, 10)


def test_a_row_that_holds_credit_alone_stays_its_subjects(tables: list[Table]) -> None:
    """Of a call that has ended nothing but a debt may be left, long after its windows are empty."""
    limiter = LocalLimiter(tables[0])
    call = granted(limiter, CREDIT, tokens=0, credit=30)
    more = limiter.reserve([CREDIT], tokens=0, credit=5, calls=0, now=NOW)
    assert not isinstance(more, Refusal)
    call.settle(tokens=0, now=NOW, owed=20)

    def strangers_come(first: int, now: float) -> None:
        for number in range(first, first + 3000):
            stranger = Demand(subject=f"key:{number}", limits=Limits())
            granted(limiter, stranger, tokens=1, now=now).settle(tokens=1, now=now)

    strangers_come(0, NOW + 100)
    assert limiter.standing(CREDIT.subject, now=NOW + 100).held_credit == 25
    debts = limiter.take_debts()
    assert debts is not None
    debts.paid()
    strangers_come(3000, NOW + 200)
    assert limiter.standing(CREDIT.subject, now=NOW + 200).held_credit == 5
    more.release(now=NOW + 200)
    assert limiter.standing(CREDIT.subject, now=NOW + 200).held_credit == 0


def test_what_takes_no_call_takes_no_tokens_and_is_released(limiter: LocalLimiter) -> None:
    for calls, tokens in ((0, 1), (2, 0), (-1, 0)):
        with pytest.raises(ValueError, match=f"nobody reserves {tokens} tokens for"):
            limiter.reserve([CREDIT], tokens=tokens, calls=calls, now=NOW)
    more = limiter.reserve([CREDIT], tokens=0, credit=5, calls=0, now=NOW)
    assert not isinstance(more, Refusal)
    with pytest.raises(ValueError, match="no call was taken"):
        more.settle(tokens=0, now=NOW)
    more.release(now=NOW)


def test_what_was_not_used_leaves_the_bucket_it_was_written_to(limiter: LocalLimiter) -> None:
    reservation = granted(limiter, KEY, tokens=80, now=1000.0)
    granted(limiter, KEY, tokens=10, now=1030.0)
    reservation.settle(tokens=20, now=1030.0)
    assert tokens_used(limiter, 1060.9) == 30
    assert tokens_used(limiter, 1061.0) == 10


def test_what_was_used_beyond_is_a_debt_from_now_on(limiter: LocalLimiter) -> None:
    reservation = granted(limiter, KEY, tokens=20, now=1000.0)
    reservation.settle(tokens=300, now=1030.0)
    assert tokens_used(limiter, 1060.9) == 300
    assert tokens_used(limiter, 1061.0) == 280
    assert refused(limiter, KEY, tokens=0, now=1061.0).fits_after == 30.0


@pytest.mark.parametrize("pause", [61.0, 64.0, 65.0, 128.0, 3600.0])
def test_a_late_end_gives_nothing_back_that_is_forgotten(
    limiter: LocalLimiter, pause: float
) -> None:
    early, late = (granted(limiter, KEY, tokens=40) for _ in range(2))
    granted(limiter, KEY, tokens=25, now=NOW + pause)
    early.release(now=NOW + pause)
    late.settle(tokens=10, now=NOW + pause)
    standing = limiter.standing("key:a", now=NOW + pause)
    assert (standing.used_requests, standing.used_tokens, standing.in_flight) == (1, 25, 1)


def test_resets_say_when_the_windows_are_empty(limiter: LocalLimiter) -> None:
    granted(limiter, KEY, tokens=5, now=1000.0)
    granted(limiter, KEY, tokens=0, now=1020.0)
    standing = limiter.standing("key:a", now=1030.5)
    assert (standing.requests_reset, standing.tokens_reset) == (50.5, 30.5)
    standing = limiter.standing("key:unheard", now=1030.5)
    assert (standing.requests_reset, standing.used_requests) == (0.0, 0)


@pytest.mark.parametrize(
    ("tokens", "credit"), [(-1, 0), (0, -1), (MOST_TOKENS + 1, 0), (0, 1 << 60)]
)
def test_amounts_beyond_reason_are_refused_before_anything_is_taken(
    limiter: LocalLimiter, tokens: int, credit: int
) -> None:
    with pytest.raises(ValueError, match="nobody reserves"):
        limiter.reserve([KEY], tokens=tokens, credit=credit, now=NOW)
    assert limiter.standing("key:a", now=NOW).in_flight == 0


def test_an_absurd_count_of_a_provider_ends_the_call_all_the_same(limiter: LocalLimiter) -> None:
    reservation = granted(limiter, KEY, tokens=1)
    with pytest.raises(ValueError, match="nobody uses"):
        reservation.settle(tokens=-1, now=NOW)
    reservation.settle(tokens=10**30, now=NOW)
    assert tokens_used(limiter) == MOST_TOKENS
    assert limiter.standing("key:a", now=NOW).in_flight == 0


def test_i2_a_time_a_little_behind_counts_what_was_written_ahead(
    limiter: LocalLimiter, other: LocalLimiter
) -> None:
    granted(limiter, KEY, tokens=60, now=940.5)
    granted(other, KEY, tokens=40, now=1003.0)
    # At 1000 the 60 of 940 still count, although at 1003 they do not any more.
    refusal = refused(limiter, KEY, tokens=1, now=1000.0)
    assert (refusal.used, refusal.fits_after) == (100, 1.0)
    granted(limiter, KEY, tokens=60, now=1001.0)


def test_a_time_too_far_behind_decides_nothing(limiter: LocalLimiter, other: LocalLimiter) -> None:
    granted(other, KEY, tokens=40, now=1004.0)
    with pytest.raises(StaleTime):
        limiter.reserve([KEY], tokens=1, now=1000.9)
    with pytest.raises(StaleTime):
        limiter.standing("key:a", now=1000.9)
    assert limiter.standing("key:a", now=1004.0).used_requests == 1
    granted(limiter, KEY, tokens=1, now=1001.0)


def test_our_own_row_ahead_of_our_time_is_no_different(limiter: LocalLimiter) -> None:
    granted(limiter, KEY, tokens=60, now=940.5)
    granted(limiter, KEY, tokens=40, now=1002.0)
    assert tokens_used(limiter, 1000.0) == 100
    assert refused(limiter, KEY, tokens=1, now=1000.0).used == 100
    with pytest.raises(StaleTime):
        limiter.reserve([KEY], tokens=1, now=990.0)
    assert limiter.standing("key:a", now=1002.0).in_flight == 2


def test_a_failure_to_look_around_takes_nothing(
    limiter: LocalLimiter, tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_files_left() -> None:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(tables[0], "look", no_files_left)
        with pytest.raises(OSError, match="too many"):
            limiter.reserve([KEY, ACCOUNT], tokens=1, credit=1, now=NOW)
    for subject in ("key:a", "account:a"):
        standing = limiter.standing(subject, now=NOW)
        assert (standing.used_requests, standing.in_flight, standing.held_credit) == (0, 0, 0)


class BetweenWords:
    """Words of a region that let somebody act just before the n-th of them is touched."""

    def __init__(self, words: memoryview, interruption: "Interruption") -> None:
        self.words = words
        self.interruption = interruption

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> memoryview: ...
    def __getitem__(self, at: int | slice) -> int | memoryview:
        self.interruption.step()
        return self.words[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self.interruption.step()
        self.words[at] = value


class Interruption:
    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left = at
        self.act = act

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()

    @property
    def happened(self) -> bool:
        return self.left <= 0


LIMIT = 100
Pause = float


class Rivalry:
    """Two workers who have used 40 of 100, of which 20 some time ago, and want 60 each."""

    def __init__(self, tables: list[Table], subject: str, pause: Pause) -> None:
        self.tables = tables
        self.ours, self.theirs = (LocalLimiter(table) for table in tables[:2])
        limits = Limits(tokens=LIMIT, requests=9, concurrency=9)
        self.demand = Demand(subject=subject, limits=limits, credit=900)
        for limiter, ago in ((self.ours, 30), (self.theirs, 20)):
            used = granted(limiter, self.demand, tokens=20, now=NOW - ago)
            used.settle(tokens=20, now=NOW - ago)
        self.now = NOW + pause
        self.admitted: list[int] = []

    def they_reserve(self) -> None:
        answer = self.theirs.reserve([self.demand], tokens=60, credit=1, now=self.now)
        if not isinstance(answer, Refusal):
            self.admitted.append(60)

    def we_reserve_interrupted_at(self, step: int, act: Callable[[], None]) -> bool:
        """Whether the interruption came before we were done."""
        interruption = Interruption(step, act)
        for region in filter(None, self.tables[0].places):
            region.words = BetweenWords(region.words, interruption)  # type: ignore[assignment]
        answer = self.ours.reserve([self.demand], tokens=60, credit=1, now=self.now)
        for region in filter(None, self.tables[0].places):
            region.words = region.words.words  # type: ignore[attr-defined]
        if not isinstance(answer, Refusal):
            self.admitted.append(60)
        return interruption.happened

    def standing(self) -> Standing:
        return self.theirs.standing(self.demand.subject, now=self.now)


@pytest.mark.parametrize("pause", [0.0, 1.0, 31.0, 45.0, 200.0])
def test_i2_another_worker_reserves_between_any_two_words_of_ours(
    tables: list[Table], pause: Pause
) -> None:
    before = {0.0: 40, 1.0: 40, 31.0: 20, 45.0: 0, 200.0: 0}[pause]
    step, happened = 1, True
    while happened:
        rivalry = Rivalry(tables, f"key:{step}", pause)
        happened = rivalry.we_reserve_interrupted_at(step, rivalry.they_reserve)
        if not happened:
            rivalry.they_reserve()
        assert before + sum(rivalry.admitted) <= LIMIT, f"both were admitted at step {step}"
        assert len(rivalry.admitted) == 1, f"both were refused at step {step}"
        standing = rivalry.standing()
        assert standing.used_tokens == before + 60
        assert (standing.in_flight, standing.held_credit) == (1, 1)
        step += 1
    assert step > 20


@pytest.mark.parametrize("pause", [0.0, 31.0, 200.0])
def test_another_worker_ends_a_call_between_any_two_words_of_ours(
    tables: list[Table], pause: Pause
) -> None:
    """They end a call of 60: whether we are admitted is a matter of timing, the sums are not."""
    step, happened = 1, True
    while happened:
        rivalry = Rivalry(tables, f"key:{step}", pause)
        call = granted(rivalry.theirs, rivalry.demand, tokens=60, now=rivalry.now)
        before = rivalry.standing().used_tokens - 60
        end = partial(call.settle, tokens=0, now=rivalry.now)
        happened = rivalry.we_reserve_interrupted_at(step, end)
        expected = before + sum(rivalry.admitted) + (0 if happened else 60)
        assert rivalry.standing().used_tokens == expected
        assert happened or not rivalry.admitted
        step += 1
    assert step > 20


def announced(limiter: LocalLimiter) -> LocalReservation:
    """What a worker has announced that has not looked yet whether it fits."""
    own = limiter._table.own
    assert own is not None
    taken = LocalReservation(own, 60, 1, limiter._bucket_seconds)
    limiter._announce(taken, [KEY], 0, NOW)
    return taken


def test_of_two_that_withdraw_for_each_other_the_later_one_tries_again(tables: list[Table]) -> None:
    """The rival announces before our fence, and withdraws after we have judged."""
    ours, theirs = (LocalLimiter(table) for table in tables[:2])
    rivals: list[LocalReservation] = []

    class RivalFence:
        def acquire(self) -> None:
            if not rivals:
                rivals.append(announced(theirs))

        def release(self) -> None: ...

    class Look:
        """Ends the rival's attempt once we have withdrawn ours: at the second judgement."""

        judgements = 0

        def __init__(self, judge: Callable[..., Refusal | None]) -> None:
            self.judge = judge

        def __call__(self, *args: Any, **named: Any) -> Refusal | None:
            self.judgements += 1
            if self.judgements == 2:
                rivals[0].release(now=NOW)
            return self.judge(*args, **named)

    ours._fence = RivalFence()  # type: ignore[assignment]
    ours._refusal = Look(ours._refusal)  # type: ignore[method-assign]
    granted(ours, KEY, tokens=60)
    assert tokens_used(theirs) == 60


def test_a_rival_that_always_comes_between_is_no_reason_to_try_for_ever(
    tables: list[Table],
) -> None:
    ours, theirs = (LocalLimiter(table) for table in tables[:2])
    rivals: list[LocalReservation] = []

    class RivalFence:
        def acquire(self) -> None:
            rivals.append(announced(theirs))

        def release(self) -> None: ...

    judge = ours._refusal

    def judge_without_rival(*args: Any, **named: Any) -> Refusal | None:
        if not named.get("announced"):
            rivals[-1].release(now=NOW)
        return judge(*args, **named)

    ours._fence = RivalFence()  # type: ignore[assignment]
    ours._refusal = judge_without_rival  # type: ignore[method-assign]
    assert refused(ours, KEY, tokens=60).fits_after == 0.0
    assert len(rivals) == 3
    assert tokens_used(theirs) == 0
