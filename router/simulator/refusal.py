"""Refusals: the errors a provider tells its client, in OpenAI's error object.

msgspec already knows what is wrong with a body and where. Its messages are read here once and
rendered the way the real service does it, with `param` naming the field, because clients branch on
`param` and `code`.
"""

import re
from typing import Any, Final

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
        self.error = error_object(status, message=message, param=param, code=code)


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
    found = _WHERE.match(str(error))
    if found is None:
        return Refusal(400, str(error))
    what, path = found["what"], found["path"] or ""
    if field := _FIELD.search(what):
        param = f"{path}.{field['name']}" if path else field["name"]
        if field["kind"] == "unknown":
            return _invalid(f"Unknown parameter: '{param}'.", param, "unknown_parameter")
        return _invalid(
            f"Missing required parameter: '{param}'.", param, "missing_required_parameter"
        )
    code = "invalid_type" if ", got `" in what else "invalid_value"
    return _invalid(f"Invalid value for '{path or 'body'}': {what}.", path or None, code)


def _invalid(message: str, param: str | None, code: str) -> Refusal:
    return Refusal(400, message, param=param, code=code)
