"""Every cell of the table of features, proved on the adapters; its page is what the table says."""

from collections import Counter

import pytest

from tests.features.clients import FACES
from tests.features.columns import columns
from tests.features.outcomes import ABSENT, Within, holds
from tests.features.page import PAGE, page
from tests.features.table import ROWS, Cell, cells


@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.name) for cell in cells()])
def test_cell(cell: Cell) -> None:
    cell.row.prove(cell.face, cell.column)


def test_no_cell_goes_untested_or_has_the_name_of_another() -> None:
    names = Counter(cell.name for cell in cells())
    assert set(names.values()) == {1}
    assert len(names) == sum(len(set(row.faces)) * len(columns()) for row in ROWS)
    assert set(FACES) == {cell.face for cell in cells()}


def test_docs_dialects_page_says_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m tests.features"


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({}, {"a": None}, False),
        ({"a": 1}, {"b": ABSENT}, True),
        ({"b": None}, {"b": ABSENT}, False),
        ([1, 2, 3], [1, 3], True),
        ([1, 2, 3], [3, 1], False),
        ([1], [1, 1], False),
        ({"a": [{"b": "one two"}]}, {"a": [{"b": Within("two")}]}, True),
        ({"a": "one"}, {"a": Within("two")}, False),
    ],
)
def test_words_are_found_only_where_they_are(found: object, wanted: object, expected: bool) -> None:
    assert holds(found, wanted) is expected
