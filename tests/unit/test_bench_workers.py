"""What workers do together: compared with what they do apart, round by round."""

import pytest

from bench.record import Origin
from bench.report import judged_tables
from bench.workers_record import Round, Turn, Workers, WorkersSettings, capacity, judge_workers
from tests.unit.test_bench_results import MACHINE

SETTINGS = WorkersSettings(rounds=3)


def one_round(together: float, apart: float) -> Round:
    return Round(Turn(together, 1e6 / together), Turn(apart, 1e6 / apart))


def test_workers_that_cost_what_gateways_cost_do_the_work_of_all() -> None:
    assert capacity([one_round(500.0, 500.0)] * 3, 2) == pytest.approx(2.0)


def test_each_round_is_compared_with_itself() -> None:
    rounds = [one_round(550.0, 500.0), one_round(1100.0, 1000.0), one_round(275.0, 250.0)]
    assert capacity(rounds, 2) == pytest.approx(2 / 1.1)


@pytest.mark.parametrize(("together", "passed"), [(540.0, True), (545.0, False)])
def test_workers_that_do_too_little_fail(together: float, passed: bool) -> None:
    (check,) = judge_workers([one_round(together, 500.0)] * 3, SETTINGS)
    assert check.passed is passed


def test_the_table_tells_every_round() -> None:
    rounds = [one_round(500.0, 400.0), one_round(600.0, 500.0)]
    origin = Origin("workers", "2026-01-02T03:04:05+00:00", "", MACHINE)
    result = Workers(origin, [], judge_workers(rounds, SETTINGS), SETTINGS, rounds)
    _checks, table = judged_tables(result)
    assert table[1] == ("1", "500.0", "400.0", "2,000", "2,500")
    assert len(table) == 3
