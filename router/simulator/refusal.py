"""Refusals: the errors a provider tells its client, and OpenAI's way to say them.

msgspec already knows what is wrong with a body and where. Its messages are read here once, into a
`Flaw`, and rendered the way the real service does it, with `param` naming the field, because
clients branch on `param` and `code`. Other dialects word a flaw in their own way.
"""

import re
from typing import Any, Final, Literal

import msgspec

ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
ERROR_CODES: Final = {
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
}
_WHERE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"(?P<kind>missing required|unknown) field `(?P<name>.*)`$")


class Refusal(Exception):
    """A request that gets an error object instead of an answer."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    @property
    def error(self) -> dict[str, Any]:
        """The inside of OpenAI's error object."""
        return error_object(self.status, message=self.message, param=self.param, code=self.code)


class Flaw(msgspec.Struct, frozen=True):
    """What does not fit in a body; `path` leads to the field, "" stands for the whole body."""

    kind: Literal["missing", "unknown", "type", "value"]
    path: str
    what: str


def error_object(
    status: int, *, message: str | None = None, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The inside of OpenAI's error object, with the usual type and code of a status."""
    ordinary = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "message": message or f"The simulated provider was told to fail with status {status}.",
        "type": ERROR_TYPES.get(status, ordinary),
        "param": param,
        "code": code or ERROR_CODES.get(status),
    }


def refusal_of(error: msgspec.ValidationError) -> Refusal:
    """Say what msgspec found, with the path of the field as `param`."""
    flaw = flaw_of(error)
    path = flaw.path
    if flaw.kind == "unknown":
        return _invalid(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
    if flaw.kind == "missing":
        return _invalid(
            f"Missing required parameter: '{path}'.", path, "missing_required_parameter"
        )
    told = f"Invalid value for '{path or 'body'}': {flaw.what}."
    return _invalid(told, path or None, f"invalid_{flaw.kind}")


def flaw_of(error: msgspec.ValidationError) -> Flaw:
    """Read msgspec's message."""
    found = _WHERE.match(str(error))
    if found is None:
        return Flaw("value", "", str(error))
    what, path = found["what"], found["path"] or ""
    if field := _FIELD.search(what):
        place = f"{path}.{field['name']}" if path else field["name"]
        return Flaw("unknown" if field["kind"] == "unknown" else "missing", place, what)
    return Flaw("type" if ", got `" in what else "value", path, what)


def _invalid(message: str, param: str | None, code: str) -> Refusal:
    return Refusal(400, message, param=param, code=code)
