"""What a secret looks like.

A secret is known by what stands before it: `sk-`, `Bearer`, `password=`. That head is kept as a
hint and the rest is replaced, all of it; which key it was, the key's id says.

Regular expressions are slow on text that holds nothing, and nearly all text holds nothing. So each
kind of secret also names plain substrings, its marks, one of which is in every text that has such a
secret; looking for those first costs next to nothing.
"""

import re
from typing import Final, NamedTuple

ELLIPSIS: Final = "…"


class SecretForm(NamedTuple):
    """One way a secret can look.

    `head`, `body` and `end` are regular expressions without groups, matched without regard to case;
    `body` matches one character, of which the secret has at least `least`, with `end` behind it.
    Every text that matches holds one of `marks`, which are in lower case.
    """

    marks: tuple[str, ...]
    head: str
    body: str
    least: int
    end: str = ""


# Ordinary words end in "sk" too ("task-list", "risk-model"). So the loose form of a key counts only
# where a word starts, and that includes the place after a written-out line break (backslash, n).
_WORD_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"

# What may stand between a name and its value, in JSON (also quoted JSON), TOML, headers and URLs.
_ASSIGNED: Final = r"\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:Basic|Bearer|Token)\s+)?"

# A value ends at a space or a quote. Taking a comma or an ampersand too many is no loss.
_VALUE: Final = r"[^\s\"']"

FORMS: Final = (
    SecretForm(("sk-",), r"sk-(?:syze|ant|proj|or|svcacct|admin)-", r"[A-Za-z0-9_-]", 4),
    SecretForm(("sk-",), _WORD_START + r"sk-", r"[A-Za-z0-9_-]", 8),
    SecretForm(
        ("gsk_", "csk-", "xai-", "fw_", "hf_", "pplx-", "nvapi-", "tgp_", "aiza", "eyj"),
        _WORD_START + r"(?:gsk_|csk-|xai-|fw_|hf_|pplx-|nvapi-|tgp_|AIza|eyJ)",
        r"[A-Za-z0-9._-]",
        16,
    ),
    SecretForm(("bearer",), r"Bearer\s+", _VALUE, 4),
    SecretForm(
        ("api-key", "api_key", "api key", "apikey"),
        r"api[-_ ]?key" + _ASSIGNED,
        _VALUE,
        4,
    ),
    SecretForm(
        ("authorization", "passw", "secret"),
        r"(?:authorization|password|passwd|secret)" + _ASSIGNED,
        _VALUE,
        4,
    ),
    SecretForm(
        ("s_token", "s-token", "h_token", "h-token"),
        r"(?:access|auth|refresh)[-_]token" + _ASSIGNED,
        _VALUE,
        4,
    ),
    SecretForm(("://",), r"://[^/\s:@]*:", r"[^/\s@]", 1, end="(?=@)"),
)

MARKS: Final = tuple(sorted({mark for form in FORMS for mark in form.marks}))

_SECRET: Final = re.compile(
    "|".join(f"({form.head}){form.body}{{{form.least},}}{form.end}" for form in FORMS),
    re.IGNORECASE | re.ASCII,
)

# Where a text ends because it was cut, what is left of a secret may be shorter than any secret.
_CUT_SECRET: Final = re.compile(
    "|".join(f"({form.head}){form.body}*\\Z" for form in FORMS), re.IGNORECASE | re.ASCII
)


def may_hold_secret(text: str) -> bool:
    """Whether `redact` could change `text`. Wrong in one direction only: it never misses."""
    lowered = text.lower()
    for mark in MARKS:  # noqa: SIM110 - three times as fast as any(), and run for every line
        if mark in lowered:
            return True
    return False


def redact(text: str, *, cut: bool = False) -> str:
    """`text` with every secret replaced by its head and an ellipsis.

    With `cut`, the text is the beginning of a longer one, and whatever could be the beginning of a
    secret at its end goes too.
    """
    if not may_hold_secret(text):
        return text
    text = _SECRET.sub(_hint, text)
    return _CUT_SECRET.sub(_hint, text) if cut else text


def _hint(match: re.Match[str]) -> str:
    # Each form has one group, its head, so the last group that matched is the head that did.
    return match[match.lastindex or 0] + ELLIPSIS
