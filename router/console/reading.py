"""What came with a request, read into the structs that say what may come, or refused with the reason."""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from router.accounts.errors import nearest
from router.console.fields import Record
from router.errors import InvalidRequest

R = TypeVar("R", bound=Record)

LONGEST_KEY: Final = 200
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"


def read_query(kind: type[R], given: Iterable[tuple[str, str]]) -> R:
    """Return the parameters of a request. Raises `InvalidRequest`."""
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    read: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            hint = nearest(name, known)
            raise InvalidRequest(f"There is no parameter {name[:40]!r}{hint}.", param=name[:40])
        if name in read:
            raise InvalidRequest(f"The parameter {name!r} was given twice.", param=name)
        read[name] = value
    try:
        return msgspec.convert(read, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"A parameter cannot be used: {error}.") from error


def read_body(kind: type[R], content: bytes) -> R:
    """Return the body of a request. Raises `InvalidRequest`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The body cannot be used: {error}.", code="invalid_value") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.", code="invalid_json") from error


def checked_key(key: str) -> str:
    """Return the idempotency key, unless it cannot be one. Raises `InvalidRequest`."""
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(
            f"The header '{IDEMPOTENCY_HEADER}' is required, with 1 to {LONGEST_KEY} printable "
            "characters: what is said twice under one key counts once."
        )
    return key
