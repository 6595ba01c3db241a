"""Small exact changes to a JSON object's bytes, without writing the whole object anew.

Inside a JSON string every quote is escaped, so bytes such as `"model":"gpt-4o"` with bare quotes can
only be a real key and its value. When such a needle occurs exactly once it can be cut or replaced in
place; any doubt (another spacing, a nested twin) takes the slow path, which keeps each field's own bytes.
"""

from typing import Final

import msgspec

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


class ModelName:
    """Replaces the top-level `model` of answers by the gateway's own id of the model."""

    def __init__(self, served_model: str) -> None:
        self._name = _encode(served_model)
        self._reported: str | None = None
        self._needles: tuple[tuple[bytes, bytes], ...] = ()

    def replace(self, data: bytes, reported: str | None) -> bytes:
        """Return `data` with the new name; `reported` is the top-level `model` read from it."""
        if reported is None:
            return data
        if reported != self._reported:
            self._learn(reported)
        for needle, replacement in self._needles:
            if data.count(needle) == 1:
                return data.replace(needle, replacement)
        return with_fields(data, {"model": msgspec.Raw(self._name)})

    def _learn(self, reported: str) -> None:
        self._reported = reported
        value = _encode(reported)
        self._needles = tuple((key + value, key + self._name) for key in (b'"model":', b'"model": '))


def with_fields(data: bytes, changes: dict[str, msgspec.Raw]) -> bytes:
    """Return the object with the given top-level fields set, all others as they were."""
    return _encode({**_decode_fields(data), **changes})


def without_field(data: bytes, name: str) -> bytes:
    """Return the object without one top-level field, all others as they were."""
    fields = _decode_fields(data)
    fields.pop(name, None)
    return _encode(fields)
