"""A scenario file: what it may say, and what is told when it says something else."""

import re
from pathlib import Path
from typing import Any

import pytest

from router.config import ConfigError
from router.simulation.scenario import load_scenario, scenario_of

GUIDE = Path(__file__).parents[2] / "docs/how-to/choose-a-hedge-policy.md"
TRAFFIC = {"rate": 1, "requests": 1}
ENDPOINT = {"name": "a", "median": 0.3}


def problems(**tree: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        scenario_of({"traffic": TRAFFIC, "endpoint": [ENDPOINT], **tree}, source="x")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"traffic": {"rate": 1}}, "traffic: say how long: either `requests` or `seconds`"),
        ({"traffic": {**TRAFFIC, "seconds": 2}}, "traffic: say how long"),
        ({"traffic": {**TRAFFIC, "rat": 2}}, "traffic.rat: unknown key; did you mean `rate`?"),
        ({"traffic": {"rate": 0, "requests": 1}}, "traffic.rate: expected a number > 0"),
        ({"endpoint": []}, "endpoint: expected a list of length >= 1"),
        ({"endpoint": [{"name": "a"}]}, "endpoint[0].median: missing"),
        ({"endpoint": [ENDPOINT, ENDPOINT]}, "endpoint[0].name: `a` is there more than once"),
        (
            {
                "endpoint": [
                    ENDPOINT | {"key": "k"},
                    {"name": "b", "median": 1, "key": "k", "limit": 2},
                ]
            },
            "endpoint[1].limit: the key `k` has another limit",
        ),
        (
            {"outage": [{"endpoint": "b", "from": 1}]},
            "outage[0].endpoint: no endpoint is named `b`",
        ),
        (
            {"outage": [{"endpoint": "*", "from": 2, "to": 1}]},
            "outage[0].to: ends before it begins",
        ),
        (
            {"outage": [{"endpoint": "*", "from": 2, "kind": "slwo"}]},
            "outage[0].kind: not a valid value; did you mean `slow`?",
        ),
        ({"race": {"hedge_quantile": 2}}, "race.hedge_quantile: expected a number < 1"),
    ],
)
def test_a_mistake_is_told_by_its_path(tree: dict[str, Any], expected: str) -> None:
    found = problems(**tree)
    assert found[0].startswith(expected), found


def test_all_mistakes_are_told_at_once() -> None:
    assert len(problems(traffic={}, endpoint=[{}])) == 3


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[traffic")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_scenario(file)


def test_the_example_of_the_guide_is_accepted(tmp_path: Path) -> None:
    [text] = re.findall(
        r"^```toml scenario\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "s.toml"
    file.write_text(text)
    loaded = load_scenario(file)
    assert loaded.outages
    assert not loaded.without_hedging().race.hedge
