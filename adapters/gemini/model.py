"""What a model can do, told by its name.

Google changes the form of some fields from one generation of Gemini to the next and refuses the other
form, so the request depends on the generation. A name such as `gemini-flash-latest` means the newest one.
What is no Gemini (Gemma, a tuned model's number) counts as the oldest, which takes the plainest form.
"""

import re
from typing import Final, Literal

import msgspec

Size = Literal["pro", "flash", "lite"]

_NUMBERED: Final = re.compile(r"gemini-(\d{1,3}(?:\.\d{1,3})?)(?![\d.])")
_NEWEST: Final = re.compile(r"gemini-(?:[a-z]+-)+latest")
_NEWEST_GENERATION: Final = 1000.0


class Traits(msgspec.Struct, frozen=True):
    """A model's generation (2.5, 3.1; 0 where unknown) and its size within it."""

    generation: float
    size: Size

    @property
    def takes_json_schema(self) -> bool:
        """Whether schemas may be JSON Schema; before, they are Google's subset of OpenAPI's."""
        return self.generation >= 2.5

    @property
    def takes_urls(self) -> bool:
        """Whether media may be given by any public address; before, only by Google's own."""
        return self.generation >= 2.5

    @property
    def has_call_ids(self) -> bool:
        """Whether calls and their results are matched by id; before, by name and order."""
        return self.generation >= 3

    @property
    def wants_signatures(self) -> bool:
        """Whether a call in the history must carry its thought signature."""
        return self.generation >= 3

    @property
    def mixes_format_and_tools(self) -> bool:
        """Whether one request may have both functions and a form of the answer."""
        return self.generation >= 3


def traits_of(name: str) -> Traits:
    """Read a model's traits off its name."""
    lower = name.lower()
    size: Size = "lite" if "lite" in lower else "flash" if "flash" in lower else "pro"
    numbered = _NUMBERED.search(lower)
    if numbered is not None:
        return Traits(float(numbered[1]), size)
    return Traits(_NEWEST_GENERATION if _NEWEST.search(lower) else 0.0, size)
