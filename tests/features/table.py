"""The whole table: every row, and every cell with the name of the test that proves it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from adapters.dialect import FaceName
from tests.features.clients import FACES
from tests.features.columns import Column, columns
from tests.features.other_doors import OTHER_ENDPOINTS
from tests.features.outcomes import words_for
from tests.features.rows import Row
from tests.features.tellings import SIGNED, TELLINGS
from tests.features.wishes_content import CONTENT
from tests.features.wishes_form import FORM
from tests.features.wishes_other_tools import OTHER_TOOLS
from tests.features.wishes_sampling import SAMPLING
from tests.features.wishes_tools import TOOL_USE

ROWS: Final[tuple[Row, ...]] = (
    *CONTENT,
    *TOOL_USE,
    *OTHER_TOOLS,
    *FORM,
    *SAMPLING,
    *TELLINGS,
    *SIGNED,
    *OTHER_ENDPOINTS,
)


class Cell(NamedTuple):
    """What the gateway does with one feature for clients of one face at one provider."""

    face: FaceName
    row: Row
    column: Column

    @property
    def name(self) -> str:
        """The name of its test, behind that of the function."""
        return f"{self.face}-{self.row.slug}-{self.column.name}"

    @property
    def text(self) -> str:
        """What the page says."""
        return words_for(self.row.outcome(self.face, self.column))


def rows_of(face: FaceName) -> list[Row]:
    """Return the rows for which a face has a word."""
    return [row for row in ROWS if face in row.faces]


def cells() -> Iterator[Cell]:
    """Yield every cell of the table."""
    for face in FACES:
        for row in rows_of(face):
            yield from (Cell(face, row, column) for column in columns())
