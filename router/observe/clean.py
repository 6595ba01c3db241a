"""Text from outside, made safe to write down.

Three things make a string dangerous in a log: it may carry a secret, it may be endless, and it may
carry characters that end the line or paint the terminal. Nothing here is the reason why secrets
stay out of the logs; they are simply never put in. This is the last defence, against the client
that sends its key as the model name and the library that quotes a header in its complaint.

Nearly every line is harmless, so the question whether there is anything to do is answered for the
whole line at once, and only then field by field.
"""

from collections.abc import Mapping
from typing import Any, Final

from router.observe.secret import ELLIPSIS, may_hold_secret, redact

LONGEST_TEXT: Final = 200

# Fields whose value is hidden whatever it looks like.
_SECRET_FIELDS: Final = frozenset(
    {
        "api-key",
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "password",
        "proxy-authorization",
        "secret",
        "set-cookie",
        "token",
        "x-api-key",
    }
)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_ONLY_STR: Final = frozenset({str})


def clean_text(text: str) -> str:
    """`text` without secrets, cut to 200 characters, every unprintable character escaped.

    The result has no line break, no control character and no lone surrogate, so it can be encoded
    and written to a terminal as it is. Escapes may make it longer than 200 characters again.
    """
    too_long = len(text) > LONGEST_TEXT
    text = redact(text[: LONGEST_TEXT - 1] if too_long else text, cut=too_long)
    if too_long:
        text += ELLIPSIS
    return text if text.isprintable() else "".join(map(_visible, text))


def clean_fields(fields: Mapping[Any, object]) -> dict[str, object]:
    """A copy of `fields` made of plain JSON types, with every string cleaned, keys too."""
    if _is_clean(fields):
        return dict(fields)
    return {_clean_key(key): _clean_field(key, value) for key, value in fields.items()}


def _is_clean(fields: Mapping[Any, object]) -> bool:
    if not (
        _ONLY_STR.issuperset(map(type, fields)) and _PLAIN.issuperset(map(type, fields.values()))
    ):
        return False
    texts = [*fields, *[value for value in fields.values() if type(value) is str]]
    if max(map(len, texts), default=0) > LONGEST_TEXT:
        return False
    line = " ".join(texts)
    return (
        line.isprintable()
        and not may_hold_secret(line)
        and _SECRET_FIELDS.isdisjoint(map(str.lower, fields))
    )


def _clean_value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return clean_text(value)
        case Mapping():
            return clean_fields(value)
        case list() | tuple() | set() | frozenset():
            return [_clean_value(item) for item in value]
        case bytes():
            return clean_text(value.decode("utf-8", "backslashreplace"))
        case _:
            return clean_text(repr(value))


def _clean_key(key: object) -> str:
    return clean_text(key if isinstance(key, str) else repr(key))


def _clean_field(key: object, value: object) -> object:
    if isinstance(key, str) and key.lower() in _SECRET_FIELDS:
        return ELLIPSIS
    return _clean_value(value)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
