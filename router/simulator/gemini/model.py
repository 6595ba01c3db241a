"""What a Gemini model takes, by the generation in its name; a model that is none counts as 0."""

import re
from typing import Final

_NUMBERED: Final = re.compile(r"gemini-(\d{1,3}(?:\.\d{1,3})?)(?![\d.])")


def generation_of(model: str) -> float:
    """2.5, 3, 3.1 and so on; `gemini-flash-latest` and its like are the newest."""
    found = _NUMBERED.search(model.lower())
    if found is not None:
        return float(found[1])
    return 1000.0 if re.fullmatch(r"gemini-[a-z-]*latest", model.lower()) else 0.0


def thinks_unasked(model: str) -> bool:
    """Whether the model thinks although nothing was said of it."""
    generation = generation_of(model)
    return generation >= 3 or (generation >= 2.5 and "lite" not in model.lower())
