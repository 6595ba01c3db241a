"""Small exact changes to a JSON object's bytes, without writing the whole object anew.

The bytes of a member, such as `"model":"gpt-4o"`, may be replaced in place where they are certain to be
a member of the top level. They are when nothing was opened before them but the object itself, or nothing
is closed after them but the object itself, and when no backslash stands before them, for then their first
quote does open a string. Any doubt (a nested twin, another spacing) takes the slow path, which keeps each
field's own bytes too.
"""

from functools import lru_cache
from typing import Final

import msgspec

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode
_MODEL_KEYS: Final = (b'"model":', b'"model": ')
MOST_NAMES: Final = 2_000
LONGEST_KEPT_NAME: Final = 200  # a provider may call its model what it likes


class ModelName:
    """Replaces the top-level `model` of a stream's chunks by the gateway's own id of the model."""

    __slots__ = ("_beginning", "_needles", "_new_beginning", "_reported", "_served_model")

    def __init__(self, served_model: str) -> None:
        self._served_model = served_model
        self._reported: str | None = None
        self._needles: tuple[tuple[bytes, bytes], ...] = ()
        self._beginning = b""
        self._new_beginning = b""

    def replace(self, data: bytes, reported: str | None) -> bytes:
        """Return `data` with the new name; `reported` is the top-level `model` read from it."""
        if reported is None:
            return data
        known = reported == self._reported
        if known and self._beginning and data.startswith(self._beginning):
            return self._new_beginning + data[len(self._beginning) :]
        if not (known and self._needles):
            self._learn(reported)
        for member, replacement in self._needles:
            changed = replace_member(data, member, replacement)
            if changed is not None:
                self._keep_beginning(data, member, replacement)
                return changed
        return with_fields(data, {"model": name_field(self._served_model)})

    def _keep_beginning(self, data: bytes, member: bytes, replacement: bytes) -> None:
        """Keep all up to the member, if that alone makes it certain: the next chunk may begin likewise."""
        start = data.find(member)
        if _opens_nothing(data, start):
            self._beginning = data[: start + len(member)]
            self._new_beginning = data[:start] + replacement
            self._needles = ()  # as long as chunks begin like this one, they are not looked for

    def _learn(self, reported: str) -> None:
        self._reported = reported
        self._beginning = b""
        self._needles = _replacements(reported, self._served_model)


def with_model(data: bytes, served_model: str, reported: str | None) -> bytes:
    """Return a whole answer with the gateway's own id of the model, as `ModelName` does for many chunks."""
    if reported is None:
        return data
    for member, replacement in _replacements(reported, served_model):
        changed = replace_member(data, member, replacement)
        if changed is not None:
            return changed
    return with_fields(data, {"model": name_field(served_model)})


@lru_cache(maxsize=MOST_NAMES)
def name_field(model: str) -> msgspec.Raw:
    """Return a model's name as a field has it; it is asked for with every request."""
    return msgspec.Raw(_encode(model))


def _replacements(reported: str, served_model: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the member `model` as it may stand in an answer, and what takes its place."""
    make = _kept if len(reported) <= LONGEST_KEPT_NAME else _make_replacements
    return make(reported, served_model)


def _make_replacements(reported: str, served_model: str) -> tuple[tuple[bytes, bytes], ...]:
    found, name = _encode(reported), _encode(served_model)
    return tuple((key + found, key + name) for key in _MODEL_KEYS)


_kept = lru_cache(maxsize=MOST_NAMES)(_make_replacements)


def replace_member(data: bytes, member: bytes, replacement: bytes) -> bytes | None:
    """Replace the bytes of one member of the top level; `None` where in doubt, or not found.

    `data` is one JSON object; `member` begins with a quote, or with a comma and a quote.
    """
    start = data.find(member)
    if start < 1 or data[start - 1] == 0x5C:
        return None
    end = start + len(member)
    if _opens_nothing(data, start) or _closes_nothing(data, end):
        return data[:start] + replacement + data[end:]
    return None


def _opens_nothing(data: bytes, start: int) -> bool:
    return data.find(b"{", 1, start) < 0 and data.find(b"[", 1, start) < 0


def _closes_nothing(data: bytes, end: int) -> bool:
    last = len(data) - 1
    return data.find(b"}", end, last) < 0 and data.find(b"]", end, last) < 0


def with_fields(data: bytes, changes: dict[str, msgspec.Raw]) -> bytes:
    """Return the object with the given top-level fields set, all others as they were."""
    return _encode({**_decode_fields(data), **changes})


def without_field(data: bytes, name: str) -> bytes:
    """Return the object without one top-level field, all others as they were."""
    fields = _decode_fields(data)
    fields.pop(name, None)
    return _encode(fields)
