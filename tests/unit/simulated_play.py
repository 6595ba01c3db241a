"""A scenario in the words of a test, and its run."""

from typing import Any

from router.simulation.figures import Figures
from router.simulation.report import Report, report_of
from router.simulation.scenario import Scenario, scenario_of
from router.simulation.world import World

Table = dict[str, Any]


def endpoint(name: str = "a", **other: object) -> Table:
    return {"name": name, "median": 0.3, **other}


def scenario(*endpoints: Table, traffic: Table | None = None, **tables: object) -> Scenario:
    tree = {
        "traffic": traffic or {"rate": 1, "requests": 1},
        "endpoint": list(endpoints) or [endpoint()],
        **tables,
    }
    return scenario_of(tree, source="a test")


def play(*endpoints: Table, traffic: Table | None = None, **tables: object) -> Figures:
    return World(scenario(*endpoints, traffic=traffic, **tables)).play()


def report(*endpoints: Table, traffic: Table | None = None, **tables: object) -> Report:
    return report_of("run", play(*endpoints, traffic=traffic, **tables))
