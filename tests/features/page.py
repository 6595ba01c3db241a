"""The page of the reference that shows the table, written from what its tests prove."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters.dialect import FaceName
from tests.features.clients import FACES
from tests.features.columns import columns
from tests.features.table import Cell, rows_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/reference/dialects.md"

_HEADINGS: Final[dict[FaceName, str]] = {
    "chat": "Chat completions (and embeddings)",
    "responses": "Responses",
    "messages": "Messages",
}
_INTRODUCTION: Final = """\
<!-- Written by `python -m tests.features`; a test fails when it is not what that writes. -->
# Dialects and features

What reaches whom: one table for each face that clients speak, one column for each dialect that providers
speak. How to set them up is in [Speak other dialects](../how-to/other-dialects.md).

| a cell says | |
|---|---|
| yes | said to the provider in its own words, or told to the client in the words of its face |
| dropped | the provider has no word for it and it only guides the answer: the request goes on without it |
| refused | the answer would be another: a 400 that names the field, before anybody is asked |
| none | the provider tells nothing of the kind, and nothing is made up |

"Yes" is what the gateway does. Whether a model can hear, see or think is for its provider to say, and that
reaches the client. A face that has no word for a feature has no row for it. Streams and whole answers do not
differ. Tokens are counted by the gateway itself, whatever the model (`/v1/messages/count_tokens`).
What a provider does not open by its address, the gateway fetches. To a provider that is configured to have
Responses itself, all of a request for Responses is said as it came.

Each cell is a test: face, row and column are its name. That of the first one is
`tests/features/test_cells.py::test_cell[chat-system-openai]`. The columns stand for these models:
"""


def page() -> str:
    """Return the text of the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    yield from _table(["column", "model"], [[one.name, f"`{one.model}`"] for one in columns()])
    for face in FACES:
        yield f"## {_HEADINGS[face]}\n"
        yield from _table(["feature", "row", *(one.name for one in columns())], _rows(face))


def _rows(face: FaceName) -> Iterator[list[str]]:
    for row in rows_of(face):
        told = [Cell(face, row, column).text for column in columns()]
        yield [row.title, f"`{row.slug}`", *told]


def _table(head: list[str], rows: Iterator[list[str]] | list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
