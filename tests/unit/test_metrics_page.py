"""The reference page of the metrics tells what the code counts."""

import re
from enum import StrEnum

import pytest

from router.exchange.books import Role
from router.exchange.live import Fate
from tests.test_docs_match_code import section, table
from tests.unit.test_observe_metrics import some_metrics

PAGE = "reference/metrics.md"


def test_every_metric_is_listed() -> None:
    text = some_metrics().render()[0].decode()
    names = re.findall(r"^# TYPE (syze_\w+?)(?:_total)? ", text, re.MULTILINE)
    assert "syze_attempts" in names
    assert set(table(PAGE, "Metrics")) == set(names)


@pytest.mark.parametrize(("column", "words"), [("role", Role), ("fate", Fate)])
def test_every_word_about_attempts_is_explained(column: str, words: type[StrEnum]) -> None:
    rows = section(PAGE, "Attempts").partition(f"| `{column}` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE) == [word.value for word in words]
