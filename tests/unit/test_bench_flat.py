"""Whether costs are flat: each round is compared with itself, and each gateway is judged."""

from pathlib import Path

import msgspec
import pytest

from bench.flat_record import PLAIN, Flat, FlatSettings, Level, judge_flat
from bench.flat_report import flat_rows
from bench.kept import load_all, save
from bench.record import Origin
from bench.report import check_rows, write_page
from tests.unit.test_bench_results import MACHINE

ONE = Level(PLAIN, 1, 1, [100.0, 200.0, 150.0])


def result(*many: Level) -> Flat:
    settings = FlatSettings(rounds=3)
    origin = Origin("flat", "2026-01-02T03:04:05+00:00", "", MACHINE)
    levels = [ONE, *many]
    return Flat(origin, ["Often."], judge_flat(levels, settings), settings, levels)


def candidates(*cpu_us: float) -> Level:
    return Level("many candidates", 500, 1, list(cpu_us))


def test_a_ratio_is_the_median_of_those_within_each_round() -> None:
    assert candidates(105.0, 240.0, 150.0).ratio_to(ONE) == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("cpu_us", "passed"),
    [((110.0, 220.0, 165.0), True), ((112.0, 224.0, 168.0), False), ((90.0, 400.0, 150.0), True)],
)
def test_what_costs_more_than_is_allowed_fails(
    cpu_us: tuple[float, float, float], passed: bool
) -> None:
    found = result(candidates(*cpu_us), Level("many keys", 1, 100_000, [101.0, 199.0, 150.0]))
    assert [check.passed for check in found.checks] == [passed, True]
    assert found.passed is passed


def test_the_table_has_a_row_for_each_gateway() -> None:
    found = result(candidates(105.0, 210.0, 157.5))
    assert flat_rows(found)[1:] == [
        (PLAIN, "1", "1", "150.0", "1.000"),
        ("many candidates", "500", "1", "157.5", "1.050"),
    ]
    for rows in (flat_rows(found), check_rows(found)):
        assert len({len(row) for row in rows}) == 1


def test_it_is_kept_read_back_and_shown(tmp_path: Path) -> None:
    found = result(candidates(120.0, 240.0, 180.0))
    save(found, tmp_path)
    assert load_all(tmp_path) == [found]
    text = write_page(tmp_path).read_text()
    assert "| many candidates | 500 | 1 | 180.0 | 1.200 |" in text
    assert "Verdict: **FAILED**." in text
    assert msgspec.structs.asdict(found.settings)["candidates"] == 500
