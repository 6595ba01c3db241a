"""Results: what is concluded from measurements, how they are kept, and how they are shown."""

from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from bench.__main__ import explained, main
from bench.endurance import Course, Round, judge, total
from bench.kept import Result, load_all, save
from bench.load import StreamOutcome, Tally
from bench.machine import Machine
from bench.record import (
    Capacity,
    Check,
    Endurance,
    EnduranceSettings,
    Figures,
    FigureSettings,
    Held,
    Origin,
    Point,
    StreamTotals,
)
from bench.report import (
    PAGE,
    capacity_rows,
    check_rows,
    endurance_rows,
    figure_rows,
    markdown_table,
    plain_table,
    tab_separated,
    write_page,
)
from router.loadtest.exchange import WrongAnswer
from router.loadtest.measure import Cpu, Memory, Window

MACHINE = Machine("A CPU", 2, 2**34, "Linux 6", "CPython 3.11", {"trio": "0.35"}, "f" * 40, True)
SETTINGS = EnduranceSettings(streams=2)
MIB = 2**20


def window(units: int, gateway_us: int) -> Window:
    cpu = {"gateway": Cpu(gateway_us, 0), "load": Cpu(0, 200_000), "provider": Cpu(300_000, 0)}
    return Window(2.0, units, cpu)


def held(mebibytes: float, descriptors: int = 10) -> Held:
    size = int(mebibytes * MIB)
    return Held(Memory(size, size), descriptors)


def totals(*, complete: int = 2, peak_open: int = 2) -> StreamTotals:
    return StreamTotals(2, complete, peak_open, 600, 60.0, 60.1, 60.2, [])


def course(
    *,
    main: StreamTotals | None = None,
    warming: StreamTotals | None = None,
    after: Held | None = None,
) -> Course:
    return Course(
        fresh=held(80),
        warming=warming or totals(),
        warmed=held(100),
        main=Round(main or totals(), window(600, 120_000), Memory(120 * MIB, 110 * MIB)),
        after=after or held(104),
    )


def endurance(found: Course) -> Endurance:
    return Endurance(
        origin=Origin("steady", "2026-01-02T03:04:05+00:00", "", MACHINE),
        method=["With care."],
        settings=SETTINGS,
        streams=found.main.totals,
        window=found.main.window,
        fresh=found.fresh,
        warmed=found.warmed,
        peak=found.main.peak,
        after=found.after,
        checks=judge(found, SETTINGS, 0),
    )


def figures() -> Figures:
    runs = [window(1000, us) for us in (900_000, 700_000, 1_100_000)]
    capacity = Capacity.of(64, window(5000, 0))
    return Figures(
        origin=Origin("naive", "2026-01-02T03:04:05+00:00", "Before tuning.", MACHINE),
        method=["By the clock.", "Often."],
        settings=FigureSettings(),
        requests=[Point.of(16, runs)],
        events=[Point.of(100, runs[:1])],
        direct_requests=capacity,
        direct_events=capacity,
        idle_busy=0.005,
    )


def test_a_point_is_the_median_of_its_runs() -> None:
    point = figures().requests[0]
    assert point.cpu_us_runs == [900.0, 700.0, 1100.0]
    assert (point.cpu_us, point.per_second, point.gateway_busy) == (900.0, 500.0, 0.45)
    assert point.load_busy == 0.25


def test_the_ceiling_of_the_load_is_a_core_full_of_it() -> None:
    capacity = Capacity.of(64, window(5000, 0))
    assert (capacity.load_cpu_us, capacity.provider_cpu_us) == (40.0, 60.0)
    assert (capacity.per_second, capacity.ceiling_per_second) == (2500.0, 10_000.0)


def test_a_good_course_passes_and_tells_both_ratios_of_memory() -> None:
    result = endurance(course())
    assert result.passed
    details = {check.name: check for check in result.checks}
    assert details["memory within 10% of the warmed start"].detail.endswith("1.040")
    fresh = details["memory within 10% of the fresh start"]
    assert fresh.detail.endswith("1.300")
    assert (fresh.passed, fresh.required) == (False, False)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (course(main=totals(complete=1)), "every stream complete and byte-exact"),
        (course(main=totals(peak_open=1)), "all streams open at once"),
        (course(warming=totals(complete=1)), "the warm-up's streams too"),
        (course(after=held(110.1)), "memory within 10% of the warmed start"),
        (course(after=held(100, descriptors=11)), "no descriptors left open"),
    ],
)
def test_each_fault_fails_its_own_check(found: Course, name: str) -> None:
    result = endurance(found)
    failed = [check.name for check in result.checks if check.required and not check.passed]
    assert failed == [name]
    assert not result.passed


@pytest.mark.parametrize("exit_code", [1, -9, None])
def test_a_gateway_that_does_not_end_well_fails(exit_code: int | None) -> None:
    assert not judge(course(), SETTINGS, exit_code)[-1].passed


def test_streams_are_summed_up() -> None:
    outcomes = [
        StreamOutcome(number, seconds=number + 1.0, problem="late" if number == 3 else None)
        for number in range(4)
    ]
    summed = total(outcomes, Tally(events=40, peak_open=4))
    assert summed == StreamTotals(4, 3, 4, 40, 1.0, 2.5, 4.0, ["stream 3: late"])


def test_results_are_kept_and_read_back(tmp_path: Path) -> None:
    kept: list[Result] = [figures(), endurance(course())]
    paths = [save(result, tmp_path / "new") for result in kept]
    assert [path.name for path in paths] == ["naive.json", "steady.json"]
    assert load_all(tmp_path / "new") == kept


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"kind": "figures"}')
    with pytest.raises(msgspec.DecodeError):
        load_all(tmp_path)


def test_the_page_tells_each_result_with_its_origin(tmp_path: Path) -> None:
    save(figures(), tmp_path)
    save(endurance(course(after=held(200))), tmp_path)
    text = write_page(tmp_path).read_text()
    assert (tmp_path / PAGE).exists()
    assert text.index("## naive") < text.index("## steady")
    for part in (
        "Before tuning.",
        "commit ffffffffffff with uncommitted changes",
        "| request | 16 | 900 | 900 700 1100 | 500 | 45% | 25% |",
        "| event | 64 | 2500 | 40 | 60 | 10000 |",
        "- By the clock.\n- Often.",
        "Verdict: **FAILED**.",
        "| memory within 10% of the warmed start | NO |",
    ):
        assert part in text


def test_a_table_has_three_forms() -> None:
    rows = [("name", "n"), ("a", "10")]
    assert plain_table(rows) == "name   n\na     10"
    assert tab_separated(rows) == "name\tn\na\t10"
    assert markdown_table(rows) == "| name | n |\n| --- | --- |\n| a | 10 |"


def test_every_table_is_rectangular() -> None:
    result = endurance(course())
    tables = [figure_rows(figures()), capacity_rows(figures())]
    for rows in [*tables, check_rows(result), endurance_rows(result)]:
        assert len({len(row) for row in rows}) == 1


def test_memory_per_stream_is_measured_from_the_warmed_start() -> None:
    rows = {row[0]: row[1] for row in endurance_rows(endurance(course()))}
    # 20 MiB more at the peak, for two streams.
    assert rows["memory per open stream"] == f"{10 * 1024:.1f} KiB"


def test_an_unmet_check_that_only_informs_is_not_shouted() -> None:
    checks = [
        Check("a", passed=True, detail=""),
        Check("b", passed=False, detail="", required=False),
    ]
    result = msgspec.structs.replace(endurance(course()), checks=checks)
    assert [row[1] for row in check_rows(result)[1:]] == ["yes", "no (reported only)"]
    assert result.passed


@pytest.mark.parametrize("command", ["figures", "endurance", "stragglers", "agreement"])
def test_the_commands_explain_themselves(command: str) -> None:
    found = CliRunner().invoke(main, [command, "--help"])
    assert found.exit_code == 0
    assert "--note" in found.output


def test_without_a_command_the_commands_are_listed() -> None:
    found = CliRunner().invoke(main, [])
    assert found.exit_code == 0
    assert "endurance" in found.output


@pytest.mark.parametrize("numbers", ["", "a", "0", "1,1", "1,,2", "-3"])
def test_a_bad_list_of_numbers_is_a_usage_error(numbers: str) -> None:
    found = CliRunner().invoke(main, ["figures", "--connections", numbers])
    assert found.exit_code == 2


@pytest.mark.parametrize(
    "error",
    [
        OSError("it broke"),
        ExceptionGroup("outer", [ExceptionGroup("inner", [WrongAnswer("it broke")])]),
    ],
)
def test_what_can_go_wrong_becomes_one_line(error: Exception) -> None:
    with pytest.raises(click.ClickException, match="it broke"), explained():
        raise error


@pytest.mark.parametrize(
    "error",
    [KeyError("a bug"), ExceptionGroup("both", [OSError("broke"), KeyError("a bug")])],
)
def test_a_bug_is_not_explained_away(error: Exception) -> None:
    with pytest.raises(type(error)), explained():
        raise error
