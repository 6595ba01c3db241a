"""`syze simulate` as people and scripts use it."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner, Result

from router.cli import main

SCENARIO = """
[traffic]
rate = 50
requests = 500

[[endpoint]]
name = "<east>"
count = 2
median = 0.3
sigma = 0.5
straggler_share = 0.05
price = 0.5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def test_json_holds_every_figure_of_each_run(file: Path) -> None:
    result = simulate(file, "--json", "--compare")
    assert result.exit_code == 0
    assert result.stderr == ""
    hedging, plain = json.loads(result.stdout)
    assert (hedging["name"], plain["name"]) == ("hedging", "no hedging")
    assert hedging["requests"] == plain["requests"] == plain["upstream_requests"] == 500
    assert hedging["hedges"] > plain["hedges"] == 0
    assert hedging["upstream_requests_by_endpoint"] == {"<east>": hedging["upstream_requests"]}
    assert plain["cost"] == 250
    assert list(plain["first_token"]) == ["p50", "p90", "p99", "p99.9"]
    assert plain["first_token"]["p50"] == pytest.approx(0.3, rel=0.2)


def test_tsv_is_a_line_of_names_and_a_line_for_each_run(file: Path) -> None:
    names, *rows = simulate(file, "--tsv", "--compare").stdout.splitlines()
    assert names.split("\t")[:4] == ["name", "requests", "success_share", "first_token_p50"]
    assert [row.split("\t")[0] for row in rows] == ["hedging", "no hedging"]
    assert {row.count("\t") for row in rows} == {names.count("\t")}


def test_people_get_a_table_with_a_column_for_each_run(file: Path) -> None:
    lines = simulate(file, "--compare").stdout.splitlines()
    assert lines[0].split() == ["hedging", "no", "hedging"]
    assert ["requests", "500", "500"] in [line.split() for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert any(line.startswith("first token p99.9") for line in lines)
    assert any(line.startswith("cost") and "$250.00" in line for line in lines)


def test_another_seed_is_another_run(file: Path) -> None:
    first, again, other = (
        simulate(file, "--json", "--seed", seed).stdout for seed in ("1", "1", "2")
    )
    assert first == again != other


def test_the_plot_is_a_picture_with_a_curve_for_each_run(file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "tail.svg"
    assert simulate(file, "--compare", "--plot", picture).exit_code == 0
    root = Xml.fromstring(picture.read_text("utf-8"))
    curves = [path for path in root.iter() if path.get("fill") == "none"]
    assert len(curves) == 2
    assert {"hedging", "no hedging", "1 %"} <= {text.text for text in root.iter()}


def test_a_plot_of_nothing_answered_is_empty_but_whole(file: Path, tmp_path: Path) -> None:
    file.write_text(SCENARIO + "error_share = 1\n", encoding="utf-8")
    picture = tmp_path / "tail.svg"
    assert simulate(file, "--plot", picture).exit_code == 0
    root = Xml.fromstring(picture.read_text("utf-8"))
    assert not [path for path in root.iter() if path.get("fill") == "none"]


def test_a_plot_that_cannot_be_written_is_told(file: Path, tmp_path: Path) -> None:
    result = simulate(file, "--plot", tmp_path / "gone" / "tail.svg")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_wrong_scenario_is_told_like_a_wrong_configuration(file: Path) -> None:
    file.write_text(SCENARIO.replace("median", "medain"), encoding="utf-8")
    result = simulate(file)
    assert result.exit_code == 2
    assert "endpoint[0].medain: unknown key; did you mean `median`?" in result.stderr
    assert result.stdout == ""
