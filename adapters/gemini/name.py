"""Function names as Gemini takes them.

A name begins with a letter or an underscore and may have letters, digits, `_`, `.`, `:` and `-`. Others are
changed, with a digest of the original so that two of them never become one, and changed back in the answer.
Source: `FunctionDeclaration.name` of the Gemini API; the length is that of the older, stricter text.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from adapters.middle.conversation import Tool

_LONGEST: Final = 64
_GOOD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_BAD_CHARACTER: Final = re.compile(r"[^A-Za-z0-9_.:-]", re.ASCII)


def sent_name(name: str) -> str:
    """Return the name by which Gemini knows the function; a good name stays as it is."""
    if _GOOD.fullmatch(name):
        return name
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = _BAD_CHARACTER.sub("_", name)
    if not plain[:1].isalpha():
        plain = f"_{plain}"
    return f"{plain[: _LONGEST - 9]}_{digest}"


def original_names(tools: Iterable[Tool]) -> dict[str, str]:
    """Return the client's name of each function by the name that was sent."""
    return {sent_name(tool.name): tool.name for tool in tools}
