"""Results of played scenarios: what is concluded from them, how they are kept, and how they are shown."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from bench.agreement import compare
from bench.agreement import judge as judge_agreement
from bench.kept import Result, load_all, save
from bench.machine import Machine
from bench.method import agreement_method, stragglers_method
from bench.race_record import (
    Agreement,
    AgreementSettings,
    Cell,
    Compared,
    Seen,
    Stragglers,
    StragglerSettings,
    Trio,
)
from bench.record import Check, Origin
from bench.report import judged_tables, write_page
from bench.stragglers import KINDS, Kind, judge, scenarios_of
from router.loadtest.measure import Cpu, Window
from router.simulation.figures import Figures
from router.simulation.scenario import Scenario, scenario_of

MACHINE = Machine("A CPU", 2, 2**34, "Linux 6", "CPython 3.11", {"trio": "0.35"}, "f" * 40, False)
ORIGIN = Origin("tails", "2026-01-02T03:04:05+00:00", "", MACHINE)
SETTINGS = StragglerSettings(requests=1000)
WINDOW = Window(10.0, 3000, {role: Cpu(1_000_000, 0) for role in ("gateway", "upstreams", "load")})


def seen(*, p50: float = 0.3, p99: float = 1.0, asked: int = 1000, answered: int = 1000) -> Seen:
    return Seen(1000, answered, p50, 0.6, p99, {"upstream": asked})


def cell(
    *, steady: Seen | None = None, hedged: Seen | None = None, attainable: bool = True
) -> Cell:
    virtual = Trio(seen(), seen(p99=4.0), seen(p99=1.3, asked=1050))
    sockets = Trio(steady or seen(), seen(p99=3.9), hedged or seen(p99=1.3, asked=1050))
    return Cell(
        name="sigma 0.5",
        median=0.3,
        sigma=0.5,
        shift=1.0,
        attainable=attainable,
        sockets=sockets,
        virtual=virtual,
        late=0.004,
        window=WINDOW,
        problems=[],
    )


def stragglers(*cells: Cell) -> Stragglers:
    checks = [check for one in cells for check in judge(one, SETTINGS)]
    method = stragglers_method(SETTINGS, share=0.03, factor=10)
    return Stragglers(ORIGIN, method, checks, SETTINGS, list(cells))


def agreement(sockets: Seen, *virtual: Seen, late: float = 0.002) -> Agreement:
    settings = AgreementSettings(virtual_runs=len(virtual))
    compared = compare(sockets, virtual)
    return Agreement(
        origin=msgspec.structs.replace(ORIGIN, name="twins"),
        method=agreement_method(settings),
        settings=settings,
        scenario="[traffic]",
        sockets=sockets,
        virtual=list(virtual),
        compared=compared,
        late=late,
        window=WINDOW,
        problems=[],
        checks=list(judge_agreement(compared, settings, late=late)),
    )


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


def test_a_run_is_summed_up_by_nearest_rank() -> None:
    figures = Figures()
    figures.requests, figures.attempts = 102, 105
    figures.attempts_by_endpoint.update({"b": 5, "a": 100})
    figures.first_token.extend(float(number) for number in range(100, 0, -1))
    summed = Seen.of(figures)
    assert (summed.requests, summed.answered) == (102, 100)
    assert (summed.p50, summed.p90, summed.p99) == (50.0, 90.0, 99.0)
    assert summed.upstream_total == 105
    assert summed.extra == pytest.approx(3 / 102)


def test_a_run_without_an_answer_has_no_percentiles() -> None:
    figures = Figures()
    figures.requests = 3
    with pytest.raises(ValueError, match="nothing was answered"):
        Seen.of(figures)


def test_a_good_cell_passes_and_tells_its_ratios() -> None:
    result = stragglers(cell())
    assert result.passed
    assert failed(result.checks) == []
    only = result.cells[0]
    assert (only.sockets.unhedged_ratio, only.sockets.hedged_ratio) == (3.9, 1.3)
    assert result.checks[0].detail == "1.30, in virtual time 1.30"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cell(hedged=seen(p99=1.41)), "p99 with hedging"),
        (cell(hedged=seen(asked=1061)), "more upstream requests"),
        (cell(steady=seen(answered=999)), "answered rightly"),
        (cell(steady=seen(p50=0.33)), "left the median alone"),
    ],
)
def test_each_fault_of_a_cell_fails_its_own_check(found: Cell, words: str) -> None:
    result = stragglers(found)
    (name,) = failed(result.checks)
    assert words in name
    assert not result.passed


def test_a_limit_that_no_hedging_can_reach_is_told_and_does_not_decide() -> None:
    result = stragglers(cell(hedged=seen(p99=1.64), attainable=False))
    assert len(failed(result.checks)) == 1
    assert result.passed


def parsed(kind: Kind) -> dict[str, Scenario]:
    written = scenarios_of(kind, SETTINGS)
    return {name: scenario_of(tomllib.loads(text), source=name) for name, text in written.items()}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_the_runs_of_a_cell_differ_in_stragglers_and_hedging_alone(kind: Kind) -> None:
    runs = parsed(kind)
    assert [run.race.hedge for run in runs.values()] == [False, False, True]
    shares = [run.endpoints[0].straggler_share for run in runs.values()]
    assert shares == [0.0, 0.03, 0.03]
    assert {(run.endpoints[0].median, run.endpoints[0].sigma) for run in runs.values()} == {
        (kind.median, kind.sigma)
    }
    assert runs["steady"].traffic == runs["hedged"].traffic
    assert runs["steady"].shifts == runs["hedged"].shifts


def test_the_default_budget_is_what_is_measured() -> None:
    assert (
        parsed(KINDS[0])["hedged"].race
        == Scenario(traffic=parsed(KINDS[0])["hedged"].traffic, endpoints=[]).race
    )


def test_times_shift_in_the_middle_of_twice_as_many_requests() -> None:
    (shifting,) = (kind for kind in KINDS if kind.shift == 3.0)
    run = parsed(shifting)["hedged"]
    assert run.traffic.requests == 2 * SETTINGS.requests
    (shift,) = run.shifts
    assert shift.factor == 3.0
    assert shift.at == pytest.approx(SETTINGS.requests / SETTINGS.rate)


def test_runs_that_agree_pass_with_the_median_of_the_virtual_ones() -> None:
    result = agreement(seen(p99=1.09), seen(p99=0.9), seen(p99=1.0), seen(p99=1.3))
    assert result.passed
    (p99,) = (one for one in result.compared if one.name == "p99")
    assert p99 == Compared("p99", 1.09, virtual=1.0, least=0.9, greatest=1.3)
    assert p99.difference == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("sockets", "name"),
    [
        (seen(p50=0.34), "p50 within 10%"),
        (seen(p99=0.89), "p99 within 10%"),
        (seen(answered=800), "answered within 10%"),
    ],
)
def test_each_figure_that_differs_fails_its_own_check(sockets: Seen, name: str) -> None:
    result = agreement(sockets, seen())
    assert failed(result.checks) == [name]
    assert not result.passed


def test_a_busy_machine_is_told_from_a_wrong_simulation() -> None:
    result = agreement(seen(), seen(), late=0.03)
    assert failed(result.checks) == ["the machine let 99 in 100 requests begin within 20 ms"]
    assert not result.passed


def test_how_requests_are_spread_is_told_and_does_not_decide() -> None:
    virtual = seen()
    sockets = msgspec.structs.replace(virtual, upstream_requests={"upstream": 700, "other": 300})
    result = agreement(sockets, virtual)
    assert failed(result.checks) == ["asked upstream within 10%", "asked other within 10%"]
    assert result.passed


def test_played_scenarios_are_kept_and_shown(tmp_path: Path) -> None:
    kept: list[Result] = [stragglers(cell()), agreement(seen(), seen())]
    for result in kept:
        save(result, tmp_path)
    assert load_all(tmp_path) == kept
    text = write_page(tmp_path).read_text()
    for part in (
        "| sigma 0.5 | stragglers, hedging | 0.300 s | 0.600 s | 1.300 s | 1.30 | 1.30 | +5.00% |",
        "| sigma 0.5 | 4.0 ms | 10% of a core | 10% of a core | 10% of a core | +0.0% | no |",
        "| upstream requests | 1,000 | 1,000 | 1,000 to 1,000 | +0.0% |",
        "Verdict: **passed**.",
    ):
        assert part in text


def test_every_table_is_rectangular() -> None:
    for result in (stragglers(cell()), agreement(seen(), seen())):
        for rows in judged_tables(result):
            assert len({len(row) for row in rows}) == 1
