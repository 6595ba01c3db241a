"""The health of endpoints and keys by example; `tests/properties/test_health.py` tries everything else."""

from random import Random

import pytest

from router.routing.availability import Availability, Standing, joined
from router.routing.endpoint_health import EndpointHealth, EndpointLimits
from router.routing.failure_share import FailureShare
from router.routing.key_health import KeyHealth, KeyTrial
from router.routing.reaction import Mark
from router.routing.trial import Trial


class LongestWait(Random):
    """Draws the upper end of every range, so that ejections last as long as they may."""

    def random(self) -> float:
        return 1.0


class ShortestWait(Random):
    """Draws the lower end of every range, so that parked keys come back as early as they may."""

    def random(self) -> float:
        return 0.0


def fail(
    health: EndpointHealth,
    at: float,
    *,
    mark: Mark = Mark.PENALISE,
    retry_after: float | None = None,
) -> bool:
    trial = health.begin(at)
    return health.failed(trial, mark, now=at, rng=LongestWait(), retry_after=retry_after)


def succeed(health: EndpointHealth, at: float) -> bool:
    return health.succeeded(health.begin(at), at)


def ejected(at: float = 0.0) -> EndpointHealth:
    """An endpoint ejected at `at`, for five seconds."""
    health = EndpointHealth()
    assert [fail(health, at) for _ in range(5)] == [False] * 4 + [True]
    return health


def standing(health: EndpointHealth | KeyHealth, now: float) -> Standing:
    return health.availability(now).standing


# Ejection


def test_five_failures_in_a_row_eject_for_five_seconds() -> None:
    health = ejected(at=100.0)
    assert health.availability(100.0) == Availability(Standing.EJECTED, until=105.0)
    assert standing(health, 104.999) is Standing.EJECTED
    assert standing(health, 105.0) is Standing.PROBE


def test_a_success_breaks_the_row() -> None:
    health = EndpointHealth()
    assert not any(fail(health, 0.0) for _ in range(4))
    succeed(health, 0.0)
    assert [fail(health, 0.0) for _ in range(5)] == [False] * 4 + [True]


def test_more_failures_than_successes_eject_once_there_are_enough() -> None:
    health = EndpointHealth()
    for _ in range(10):
        succeed(health, 0.0)
        assert not fail(health, 0.0), "10 of 20 is not more than half"
    assert fail(health, 0.0), "11 of 21 is"


def test_failures_older_than_the_window_are_not_counted() -> None:
    health = EndpointHealth()
    for _ in range(3):
        for _ in range(4):
            fail(health, 0.0)
        succeed(health, 0.0)
    assert standing(health, 31.0) is Standing.USABLE
    for _ in range(4):
        fail(health, 31.0)
    succeed(health, 31.0)
    assert standing(health, 31.0) is Standing.USABLE, "with the older ones it would be 16 of 20"


@pytest.mark.parametrize("mark", [Mark.NOTHING, Mark.PARK_KEY, Mark.KILL_KEY])
def test_what_is_not_the_endpoints_fault_is_not_held_against_it(mark: Mark) -> None:
    health = EndpointHealth()
    assert not any(fail(health, 0.0, mark=mark, retry_after=9.0) for _ in range(50))
    assert health.availability(0.0) == Availability(Standing.USABLE)


def test_clients_that_leave_change_nothing() -> None:
    health = EndpointHealth()
    for _ in range(4):
        fail(health, 0.0)
    for _ in range(50):
        health.abandoned(health.begin(0.0), 0.0)
    assert health.availability(0.0) == Availability(Standing.USABLE)
    assert fail(health, 0.0), "nor do they break the row"


def test_a_crowd_that_fails_together_ejects_once() -> None:
    health = EndpointHealth()
    crowd = [health.begin(0.0) for _ in range(100)]
    news = [health.failed(trial, Mark.PENALISE, now=1.0, rng=LongestWait()) for trial in crowd]
    assert news.count(True) == 1
    assert health.availability(1.0).until == 6.0


def test_the_answer_to_an_older_question_neither_lifts_nor_extends_an_ejection() -> None:
    health = EndpointHealth()
    early = [health.begin(0.0) for _ in range(2)]
    for _ in range(5):
        fail(health, 10.0)
    before = health.availability(10.0)
    assert not health.succeeded(early[0], 11.0)
    assert not health.failed(early[1], Mark.PENALISE, now=11.0, rng=LongestWait())
    assert health.availability(10.0) == before


def test_the_answer_to_an_older_question_does_not_break_a_row() -> None:
    health = ejected()
    early = [health.begin(1.0) for _ in range(5)]
    succeed(health, 2.0)
    for trial in early:
        fail(health, 3.0)
        health.succeeded(trial, 3.0)
    assert standing(health, 3.0) is Standing.EJECTED


def test_a_retry_after_keeps_everybody_away_at_the_first_failure() -> None:
    health = EndpointHealth()
    assert not fail(health, 10.0, retry_after=7.0)
    assert health.availability(10.0) == Availability(Standing.PARKED, until=17.0)
    fail(health, 10.0, retry_after=2.0)
    assert health.availability(16.9) == Availability(Standing.PARKED, until=17.0), "never shorter"
    assert standing(health, 17.0) is Standing.USABLE


def test_a_retry_after_outlasts_the_ejection() -> None:
    health = ejected()
    fail(health, 1.0, retry_after=60.0)
    assert health.availability(10.0) == Availability(Standing.PARKED, until=61.0)
    assert standing(health, 61.0) is Standing.PROBE


def test_the_ejection_outlasts_a_shorter_retry_after() -> None:
    health = EndpointHealth()
    for _ in range(5):
        fail(health, 0.0, retry_after=2.0)
    assert health.availability(1.0) == Availability(Standing.PARKED, until=5.0)
    assert health.availability(2.0) == Availability(Standing.EJECTED, until=5.0)


# Probes


def test_one_request_probes_while_the_others_are_told_to_go_elsewhere() -> None:
    health = ejected()
    trials = [health.begin(5.0) for _ in range(1000)]
    assert [trial.probe for trial in trials] == [True] + [False] * 999
    assert standing(health, 5.0) is Standing.EJECTED


def test_each_failed_probe_doubles_the_ejection_up_to_the_cap() -> None:
    health = ejected()
    now, waits = 5.0, []
    for _ in range(5):
        assert standing(health, now) is Standing.PROBE
        assert fail(health, now)
        waits.append(health.availability(now).until - now)
        now += waits[-1]
    assert waits == [10.0, 20.0, 25.0, 25.0, 25.0]


@pytest.mark.parametrize("phase", range(58))
def test_an_outage_of_a_minute_is_over_within_half_a_minute(phase: int) -> None:
    health, back, now = EndpointHealth(), 60.0, float(phase)
    while now < back:
        if standing(health, now) is not Standing.EJECTED:
            fail(health, now)
        now += 0.25
    while standing(health, now) is Standing.EJECTED:
        now += 0.25
    assert succeed(health, now)
    assert now - back <= 25.0


def test_the_crowd_that_has_nowhere_else_to_go_does_not_lengthen_the_ejection() -> None:
    health = ejected()
    assert not any(fail(health, 1.0) for _ in range(1000))
    assert health.availability(1.0) == Availability(Standing.EJECTED, until=5.0)


def test_one_success_of_the_crowd_brings_the_endpoint_back() -> None:
    health = ejected()
    crowd = [health.begin(1.0) for _ in range(100)]
    assert health.succeeded(crowd[0], 2.0)
    assert standing(health, 2.0) is Standing.USABLE
    for trial in crowd[1:]:
        assert not health.failed(trial, Mark.PENALISE, now=3.0, rng=LongestWait())
    assert standing(health, 3.0) is Standing.USABLE, "they had begun before it was back"


def test_a_probe_that_tells_nothing_is_followed_by_another_after_a_pause() -> None:
    health = ejected()
    health.abandoned(health.begin(5.0), 5.5)
    assert health.availability(5.5) == Availability(Standing.EJECTED, until=10.5)
    trial = health.begin(10.5)
    assert trial.probe
    health.failed(trial, Mark.NOTHING, now=11.0, rng=LongestWait())
    assert health.availability(11.0) == Availability(Standing.EJECTED, until=16.0)


def test_a_probe_that_hangs_does_not_keep_the_endpoint_away_for_ever() -> None:
    health = ejected()
    hanging = health.begin(5.0)
    assert health.availability(5.0) == Availability(Standing.EJECTED, until=25.0)
    second = health.begin(25.0)
    assert second.probe
    assert health.failed(hanging, Mark.PENALISE, now=30.0, rng=LongestWait())
    assert not health.failed(second, Mark.PENALISE, now=31.0, rng=LongestWait())
    assert health.availability(31.0) == Availability(Standing.EJECTED, until=40.0)


def test_a_hanging_probe_that_is_given_up_leaves_its_successor_alone() -> None:
    health = ejected()
    hanging, second = health.begin(5.0), health.begin(25.0)
    health.abandoned(hanging, 26.0)
    assert health.availability(40.0) == Availability(Standing.EJECTED, until=45.0)
    assert health.succeeded(second, 40.0)


def test_the_beginning_of_an_answer_proves_that_the_endpoint_answers() -> None:
    health = ejected()
    probe = health.begin(5.0)
    assert health.committed(probe, 6.0)
    assert standing(health, 6.0) is Standing.USABLE
    assert not health.succeeded(probe, 300.0), "it was back already"


def test_after_broken_streams_only_a_whole_one_proves_anything() -> None:
    health = EndpointHealth()
    for _ in range(5):
        broken = health.begin(0.0)
        assert not health.committed(broken, 0.0)
        health.failed(broken, Mark.PENALISE, now=0.0, rng=LongestWait())
    probe = health.begin(5.0)
    assert not health.committed(probe, 6.0)
    assert standing(health, 6.0) is Standing.EJECTED
    assert health.succeeded(probe, 9.0)
    assert standing(health, 9.0) is Standing.USABLE


def test_how_the_probe_goes_on_still_counts() -> None:
    health = ejected()
    probe = health.begin(5.0)
    health.committed(probe, 6.0)
    for _ in range(4):
        fail(health, 7.0)
    assert health.failed(probe, Mark.PENALISE, now=8.0, rng=LongestWait())


# Return


def test_the_return_is_gradual() -> None:
    health = ejected()
    succeed(health, 5.0)
    shares = [health.availability(5.0 + after).share for after in (0.0, 10.0, 20.0, 30.0, 1e6)]
    assert shares == pytest.approx([0.1, 0.4, 0.7, 1.0, 1.0])


def test_what_fails_again_while_returning_stays_away_longer() -> None:
    health = ejected()
    succeed(health, 5.0)
    assert [fail(health, 34.9) for _ in range(5)][-1]
    assert health.availability(34.9).until == pytest.approx(44.9)


def test_what_has_fully_returned_is_forgiven() -> None:
    health = ejected()
    succeed(health, 5.0)
    assert [fail(health, 35.0) for _ in range(5)][-1]
    assert health.availability(35.0).until == 40.0


def test_what_failed_before_the_return_is_not_counted_after_it() -> None:
    health = EndpointHealth(EndpointLimits(failures_in_a_row=20))
    for _ in range(20):
        fail(health, 0.0)
    succeed(health, 5.0)
    assert not any(fail(health, 6.0) for _ in range(19))


def test_hours_between_requests_change_nothing_but_the_time() -> None:
    health = ejected()
    hours = 72 * 3600.0
    trial = health.begin(hours)
    assert trial.probe
    assert health.failed(trial, Mark.PENALISE, now=hours, rng=LongestWait())
    assert health.availability(hours).until == hours + 10.0
    assert succeed(health, 2 * hours)
    assert health.availability(3 * hours) == Availability(Standing.USABLE)


def test_an_operator_may_want_no_ramp_at_all() -> None:
    health = EndpointHealth(EndpointLimits(failures_in_a_row=1, ramp=0.0))
    fail(health, 0.0)
    succeed(health, 5.0)
    assert health.availability(5.0) == Availability(Standing.USABLE)


# Trials


def test_an_attempt_cannot_have_two_outcomes() -> None:
    health = EndpointHealth()
    trial = health.begin(0.0)
    health.succeeded(trial, 1.0)
    with pytest.raises(RuntimeError):
        health.failed(trial, Mark.PENALISE, now=1.0, rng=LongestWait())
    with pytest.raises(RuntimeError):
        health.succeeded(trial, 1.0)


def test_giving_up_what_has_ended_is_allowed() -> None:
    health = ejected()
    trial = health.begin(5.0)
    health.failed(trial, Mark.PENALISE, now=6.0, rng=LongestWait())
    before = health.availability(6.0)
    health.abandoned(trial, 7.0)
    assert health.availability(6.0) == before


# Keys


def fail_key(
    health: KeyHealth,
    at: float,
    mark: Mark,
    *,
    retry_after: float | None = None,
    trial: KeyTrial | None = None,
) -> bool:
    begun = trial or health.begin(at)
    return health.failed(begun, mark, now=at, rng=ShortestWait(), retry_after=retry_after)


def test_a_key_is_parked_for_as_long_as_the_provider_says() -> None:
    key = KeyHealth()
    assert fail_key(key, 10.0, Mark.PARK_KEY, retry_after=2.0)
    assert key.availability(11.9) == Availability(Standing.PARKED, until=12.0)
    assert standing(key, 12.0) is Standing.USABLE


def test_the_longest_of_several_retry_afters_holds() -> None:
    key = KeyHealth()
    crowd = [key.begin(0.0) for _ in range(3)]
    for trial, seconds in zip(crowd, (3.0, 60.0, 1.0), strict=True):
        fail_key(key, 1.0, Mark.PARK_KEY, retry_after=seconds, trial=trial)
    assert key.availability(1.0).until == 61.0


def test_without_a_retry_after_a_key_is_parked_for_fifteen_seconds_then_longer() -> None:
    key, now, waits = KeyHealth(), 0.0, []
    for _ in range(7):
        assert fail_key(key, now, Mark.PARK_KEY)
        waits.append(key.availability(now).until - now)
        now += waits[-1]
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


def test_jitter_never_exceeds_the_cap() -> None:
    key, now = KeyHealth(), 0.0
    for _ in range(8):
        key.failed(key.begin(now), Mark.PARK_KEY, now=now, rng=LongestWait())
        assert key.availability(now).until - now <= 300.0
        now = key.availability(now).until


def test_a_crowd_of_429s_parks_a_key_once() -> None:
    key = KeyHealth()
    crowd = [key.begin(0.0) for _ in range(100)]
    news = [fail_key(key, 1.0, Mark.PARK_KEY, trial=trial) for trial in crowd]
    assert news.count(True) == 1
    assert key.availability(1.0).until == 16.0


def test_an_answer_ends_the_row_of_429s() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.PARK_KEY)
    key.committed(key.begin(15.0))
    fail_key(key, 20.0, Mark.PARK_KEY)
    assert key.availability(20.0).until == 35.0


def test_an_answer_to_an_older_question_does_not_end_the_row() -> None:
    key = KeyHealth()
    early = key.begin(0.0)
    fail_key(key, 0.0, Mark.PARK_KEY)
    key.succeeded(early)
    assert standing(key, 14.9) is Standing.PARKED
    fail_key(key, 15.0, Mark.PARK_KEY)
    assert key.availability(15.0).until == 45.0


def test_a_row_of_429s_is_forgotten_after_a_long_silence() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.PARK_KEY)
    fail_key(key, 7200.0, Mark.PARK_KEY)
    assert key.availability(7200.0).until == 7215.0


def test_a_retry_after_that_is_too_short_each_time_is_lengthened() -> None:
    key, now, waits = KeyHealth(), 0.0, []
    for _ in range(5):
        fail_key(key, now, Mark.PARK_KEY, retry_after=0.0)
        until = max(now, key.availability(now).until)
        waits.append(until - now)
        now = until
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_a_crowd_does_not_lengthen_a_short_retry_after() -> None:
    key = KeyHealth()
    crowd = [key.begin(0.0) for _ in range(100)]
    for trial in crowd:
        fail_key(key, 1.0, Mark.PARK_KEY, retry_after=0.1, trial=trial)
    assert key.availability(1.0).until == 1.1


def test_a_refused_key_is_dead_and_probed_by_one_request_after_a_minute() -> None:
    key = KeyHealth()
    assert fail_key(key, 0.0, Mark.KILL_KEY)
    assert key.availability(59.9) == Availability(Standing.DEAD, until=60.0)
    assert standing(key, 60.0) is Standing.PROBE
    probe = key.begin(60.0)
    assert probe.probe
    assert standing(key, 60.0) is Standing.DEAD
    assert key.committed(probe)
    assert standing(key, 60.0) is Standing.USABLE


def test_each_refused_probe_doubles_the_time_up_to_an_hour() -> None:
    key, now, waits = KeyHealth(), 0.0, []
    for _ in range(8):
        fail_key(key, now, Mark.KILL_KEY)
        waits.append(key.availability(now).until - now)
        now += waits[-1]
    assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]


def test_a_crowd_of_refusals_kills_a_key_once() -> None:
    key = KeyHealth()
    crowd = [key.begin(0.0) for _ in range(100)]
    news = [fail_key(key, 1.0, Mark.KILL_KEY, trial=trial) for trial in crowd]
    assert news.count(True) == 1
    assert key.availability(1.0).until == 61.0


def test_a_refusal_from_before_the_revival_does_not_kill_again() -> None:
    key = KeyHealth()
    early = key.begin(0.0)
    fail_key(key, 0.0, Mark.KILL_KEY)
    assert key.succeeded(key.begin(60.0))
    assert not fail_key(key, 61.0, Mark.KILL_KEY, trial=early)
    assert standing(key, 61.0) is Standing.USABLE


def test_a_429_from_before_a_refusal_still_parks_the_key() -> None:
    key = KeyHealth()
    early = key.begin(0.0)
    fail_key(key, 0.0, Mark.KILL_KEY)
    fail_key(key, 1.0, Mark.PARK_KEY, retry_after=600.0, trial=early)
    assert key.availability(60.0) == Availability(Standing.DEAD, until=601.0)
    assert standing(key, 601.0) is Standing.PROBE


@pytest.mark.parametrize("mark", [Mark.NOTHING, Mark.PENALISE])
def test_what_is_not_the_keys_fault_is_not_held_against_it(mark: Mark) -> None:
    key = KeyHealth()
    assert not any(fail_key(key, 0.0, mark, retry_after=5.0) for _ in range(50))
    assert key.availability(0.0) == Availability(Standing.USABLE)


def test_a_key_probe_that_tells_nothing_is_followed_by_another_a_minute_later() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.KILL_KEY)
    key.abandoned(key.begin(60.0), 61.0)
    assert key.availability(61.0) == Availability(Standing.DEAD, until=121.0)
    fail_key(key, 121.0, Mark.PENALISE)
    assert key.availability(121.0) == Availability(Standing.DEAD, until=181.0)


def test_a_key_probe_that_hangs_gives_way_to_another() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.KILL_KEY)
    hanging = key.begin(60.0)
    assert key.availability(60.0) == Availability(Standing.DEAD, until=80.0)
    assert key.succeeded(key.begin(80.0))
    assert not fail_key(key, 81.0, Mark.KILL_KEY, trial=hanging), "it had begun before"
    assert standing(key, 81.0) is Standing.USABLE


def test_a_hanging_key_probe_that_is_given_up_leaves_its_successor_alone() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.KILL_KEY)
    hanging = key.begin(60.0)
    key.begin(80.0)
    key.abandoned(hanging, 81.0)
    assert key.availability(81.0).until == 100.0


def test_a_key_that_came_back_is_forgiven() -> None:
    key = KeyHealth()
    fail_key(key, 0.0, Mark.KILL_KEY)
    fail_key(key, 60.0, Mark.KILL_KEY)
    key.committed(key.begin(180.0))
    fail_key(key, 200.0, Mark.KILL_KEY)
    assert key.availability(200.0).until == 260.0


# Parts


def test_what_needs_both_has_the_worse_of_the_two() -> None:
    ramping = Availability(Standing.USABLE, share=0.4)
    parked = Availability(Standing.PARKED, until=9.0)
    away = Availability(Standing.EJECTED, until=20.0)
    assert joined(ramping, Availability(Standing.USABLE)) == ramping
    assert joined(ramping, parked) == Availability(Standing.PARKED, share=0.4, until=9.0)
    assert joined(away, parked) == joined(parked, away)
    assert joined(away, parked) == Availability(Standing.PARKED, until=20.0)


def test_outcomes_leave_the_window_slice_by_slice() -> None:
    share = FailureShare(30.0)
    for second in range(30):
        share.observe(float(second), failed=second % 3 == 0)
    assert share.read(29.9) == (30, 10)
    assert share.read(30.0) == (25, 8), "the slice of seconds 0 to 4 is gone"
    assert share.read(54.9) == (5, 1)
    assert share.read(55.0) == (0, 0)


@pytest.mark.parametrize("begun", [0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
@pytest.mark.parametrize("leap", [30.0, 35.0, 60.0, 1e9])
def test_a_window_survives_a_leap(begun: float, leap: float) -> None:
    share = FailureShare(30.0)
    share.observe(begun, failed=True)
    assert share.read(begun + leap) == (0, 0)
    share.observe(begun + leap, failed=False)
    assert share.read(begun + leap) == (1, 0)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        FailureShare(0.0)


def test_a_trial_is_fresh_until_it_ends() -> None:
    trial = Trial(epoch=0)
    trial.end()
    with pytest.raises(RuntimeError):
        trial.end()
