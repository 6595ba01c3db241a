"""Two load generators compared: turn by turn, since the machine's speed drifts between them."""

from bench.crosscheck import judge, reading_of
from bench.crosscheck_record import CrosscheckSettings, Reading

SETTINGS = CrosscheckSettings(rounds=3)


def turn(speed: float, *, failed: int = 0) -> Reading:
    """A turn on a machine of this speed."""
    return Reading(
        per_second=1000 * speed,
        p50=0.01 / speed,
        p99=0.02 / speed,
        cpu_us=200 / speed,
        failed=failed,
    )


def found(ours: list[Reading], theirs: list[Reading]) -> list[bool]:
    return [check.passed for check in judge(ours, theirs, SETTINGS)]


def test_the_same_figures_agree() -> None:
    turns = [turn(1.0), turn(1.0), turn(1.0)]
    assert found(turns, turns) == [True] * 5


def test_a_machine_that_drifts_between_turns_is_no_disagreement() -> None:
    ours = [turn(1.0), turn(0.7), turn(1.3)]
    theirs = [turn(1.01), turn(0.71), turn(1.29)]
    assert found(ours, theirs) == [True] * 5


def test_a_generator_that_counts_a_tenth_more_disagrees() -> None:
    ours = [turn(1.1), turn(0.77), turn(1.43)]
    theirs = [turn(1.0), turn(0.7), turn(1.3)]
    assert found(ours, theirs) == [True, False, False, False, False]


def test_a_failed_request_on_either_side_disagrees() -> None:
    good, bad = [turn(1.0)] * 3, [turn(1.0), turn(1.0, failed=1), turn(1.0)]
    assert found(bad, good)[0] is False
    assert found(good, bad)[0] is False


def test_what_wrk_writes_is_read() -> None:
    assert reading_of("crosscheck 5000 2000000 3 7000 14000", 1.5) == Reading(
        per_second=2500.0, p50=0.007, p99=0.014, cpu_us=300.0, failed=3
    )
