"""The benchmark of reservations: that it measures what it says, judges by the medians, and keeps it all."""

import io
from pathlib import Path

import pytest

from bench.kept import load_all, save
from bench.machine import Machine
from bench.micro import judge, measure_micro
from bench.micro_contestants import BareReads, Ours, Refused
from bench.micro_record import Cost, Micro, MicroSettings
from bench.micro_report import micro_rows
from bench.micro_round import CONTESTANTS
from bench.record import Origin
from bench.report import page
from limiter.demand import Limits
from router.loadtest.progress import Progress

SETTINGS = MicroSettings(keys=(10, 1000))
MACHINE = Machine("A CPU", 2, 2**34, "Linux 6", "CPython 3.11", {"trio": "0.35"}, "f" * 40, True)


def cost(keys: int, *runs_us: float, contestant: str = Ours.name) -> Cost:
    return Cost(contestant, keys, "any key", 20.0, list(runs_us), 1088.0, 300.0)


def micro(*costs: Cost) -> Micro:
    origin = Origin("micro", "2026-01-02T03:04:05+00:00", "", MACHINE)
    return Micro(origin, ["With care."], list(judge(costs, SETTINGS)), SETTINGS, list(costs))


def test_a_median_over_what_is_allowed_fails_however_good_the_best_round_was() -> None:
    assert micro(cost(10, 14.0, 15.0, 40.0), cost(1000, 9.0, 9.0)).passed
    assert not micro(cost(10, 6.0), cost(1000, 9.0, 15.1, 15.1)).passed


def test_the_goal_is_told_and_does_not_decide() -> None:
    result = micro(cost(10, 12.0))
    assert [(check.passed, check.required) for check in result.checks] == [
        (True, True),
        (False, False),
    ]
    assert result.passed


def test_other_packages_are_compared_and_not_judged() -> None:
    result = micro(cost(10, 10.0), cost(10, 30.0, contestant="another"))
    assert result.passed
    _, own, other = micro_rows(result)
    assert (own[5], other[5]) == ("1.00", "3.00")


def test_a_result_is_kept_whole_and_shown(tmp_path: Path) -> None:
    result = micro(cost(10, 10.0), cost(1000, 11.0))
    save(result, tmp_path)
    assert load_all(tmp_path) == [result]
    assert "| any key of 1,000: at most 15 µs | yes | 11.0 µs, least 11.0 µs |" in page([result])


def test_every_contestant_is_measured_in_a_process_of_its_own() -> None:
    settings = MicroSettings(keys=(10,), workers=2, rounds=2, operations=100)
    result = measure_micro(settings, name="micro", note="", progress=Progress(io.StringIO()))
    measured = [(each.contestant, each.chosen) for each in result.costs]
    ours, bare = Ours.name, BareReads.name
    assert measured[:4] == [(who, of) for who in (ours, bare) for of in ("any key", "one key")]
    assert len(measured[4:]) == len(CONTESTANTS) - 1
    for each in result.costs:
        assert len(each.runs_us) == 2
        assert min(each.runs_us) > 0.0
    assert result.costs[0].shared_bytes > 0
    assert all("{" not in paragraph for paragraph in result.method)


def test_our_rounds_reserve_for_every_chosen_key_and_leave_nothing_in_flight(
    tmp_path: Path,
) -> None:
    ours = Ours(tmp_path, MicroSettings(workers=2))
    ours.meet(3)
    ours.round([0, 0, 1])
    ours.rest()
    reader = ours._limiters[1]
    used = [reader.standing(f"key:{number}", now=ours._now) for number in range(3)]
    assert [standing.used_requests for standing in used] == [2 + 2 + 1, 2 + 1 + 1, 2 + 1]
    assert all(standing.in_flight == 0 for standing in used)
    for table in ours._tables:
        table.close()


def test_a_refusal_ends_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Ours(tmp_path, MicroSettings(workers=1))
    monkeypatch.setattr("bench.micro_contestants.LIMITS", Limits(requests=1))
    with pytest.raises(Refused, match="requests"):
        ours.round([0, 0])
    for table in ours._tables:
        table.close()
