"""The client's faults: the request cannot be served as it stands, and trying elsewhere changes nothing."""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from adapters.dialect import BadCall, Failure
from router.errors.base import ErrorBody, GatewayError, Headers

_TIERS_NAMED: Final = 5


class ClientFault(GatewayError):
    """The request cannot be served as it stands; trying elsewhere changes nothing."""

    status = 400
    type = "invalid_request_error"
    code: ClassVar[str | None] = None


class InvalidRequest(ClientFault):
    """400: the body is not what was expected; says which field, and what was."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param)
        self._code = code

    @classmethod
    def from_bad_call(cls, error: BadCall) -> "InvalidRequest":
        """Translate what the face's decoder found wrong."""
        return cls(error.message, param=error.param, code=error.code)

    def to_body(self) -> ErrorBody:
        """Return the inside of the error object."""
        return ErrorBody(self.message, self.type, self.param, self._code)


class MalformedRequest(ClientFault):
    """400: what came is not one well-formed request; 431, 501 and 505 say it more exactly."""

    code = "malformed_request"

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self._status = status

    def render(self) -> tuple[int, Headers, bytes]:
        """Return the status, which is not always 400, headers and JSON body of the answer."""
        _, headers, body = super().render()
        return self._status, headers, body


class MissingKey(ClientFault):
    """401: no API key came with the request."""

    status = 401
    code = "missing_api_key"

    def __init__(self) -> None:
        super().__init__(
            "You did not provide an API key. Send it in the Authorization header: "
            "'Authorization: Bearer sk-syze-...'."
        )


class InvalidKey(ClientFault):
    """401: the API key is unknown, expired or revoked, or its account is closed."""

    status = 401
    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__(
            "Incorrect API key provided. Send a valid key in the Authorization header: "
            "'Authorization: Bearer sk-syze-...'."
        )


class CreditEmpty(ClientFault):
    """402: the account has no credit left."""

    status = 402
    type = "insufficient_quota"
    code = "insufficient_credits"


class CreditHeld(ClientFault):
    """402: the account's credit is held by its own running calls, and comes back as they end."""

    status = 402
    type = "insufficient_quota"
    code = "credits_held"


class ModelNotAllowed(ClientFault):
    """403: the key's tier does not have the model; names the tiers that do."""

    status = 403
    type = "permission_error"
    code = "model_not_allowed"

    def __init__(self, model: str, *, tier: str, tiers_with: list[str]) -> None:
        found = [_short(name) for name in tiers_with[:5]]
        which = f"The tier {_listed(found)} has it." if found else "No tier has it at present."
        said = f"The tier '{_short(tier)}' does not have the model '{_short(model)}'. {which}"
        super().__init__(said, param="model")


class ModelNotPriced(ClientFault):
    """403: the model has no price, so it is not sold to accounts that pay."""

    status = 403
    type = "permission_error"
    code = "model_not_priced"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model '{_short(model)}' has no price here, and is not sold to prepaid accounts.",
            param="model",
        )


class ScopeMissing(ClientFault):
    """403: the key may not be used for this; names what it may be used for."""

    status = 403
    type = "permission_error"
    code = "scope_missing"

    def __init__(self, scope: str, scopes: Sequence[str]) -> None:
        allowed = " and ".join(scopes)
        super().__init__(f"This API key may not be used for {scope}, only for {allowed}.")


class ModelNotFound(ClientFault):
    """404: no such model; names the nearest ids."""

    status = 404
    code = "model_not_found"

    def __init__(self, model: str, nearest: list[str]) -> None:
        hint = f" Did you mean {_listed(nearest)}?" if nearest else ""
        super().__init__(
            f"The model '{_short(model)}' does not exist.{hint} GET /v1/models lists all.",
            param="model",
        )


class PathNotFound(ClientFault):
    """404: no such path."""

    status = 404
    code = "unknown_url"

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"Invalid URL ({method} {_short(path)}). The API lives under /v1, "
            "for example POST /v1/chat/completions."
        )


class ResponseNotFound(ClientFault):
    """404: responses are not stored, so none can be had again."""

    status = 404
    code = "response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"There is no response '{_short(response_id)}': responses are not stored here. "
            "Send the whole conversation in 'input' of POST /v1/responses."
        )


class MethodNotAllowed(ClientFault):
    """405: the path exists, for other methods."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(
            f"{_short(path)} does not take {method}; it takes {_listed(sorted(allowed))}."
        )
        self.allowed = allowed

    def render(self) -> tuple[int, Headers, bytes]:
        """Return status, headers (with Allow) and JSON body of the answer."""
        status, headers, body = super().render()
        return status, [*headers, (b"allow", ", ".join(sorted(self.allowed)).encode())], body


class BodyTooSlow(ClientFault):
    """408: the request body did not arrive in time."""

    status = 408
    code = "request_timeout"


class BodyTooLarge(ClientFault):
    """413: the request body exceeds the limit, which the message states."""

    status = 413
    code = "request_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body exceeds the limit of {limit_bytes} bytes.")


class FileNotFetched(ClientFault):
    """400: a file that the request names by its URL could not be fetched for a provider that wants bytes."""

    code = "file_not_fetched"

    def __init__(self, why: str, *, param: str | None) -> None:
        where = "of the request" if param is None else f"at '{param}'"
        super().__init__(
            f"The file {where} could not be fetched: {why}. Send its bytes instead.", param=param
        )


class LimitExceeded(ClientFault):
    """429: a limit of the key's is used up. `limit` names which: tokens, requests or concurrency."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, limit: str, retry_after: float) -> None:
        wait = f" Please try again in {retry_after:.3f}s."
        super().__init__(message + wait, retry_after=retry_after)
        self.limit = limit

    def to_body(self) -> ErrorBody:
        """Return the inside of the error object; its type is the limit, as OpenAI's."""
        return ErrorBody(self.message, self.limit, self.param, self.code)


class UpstreamRefusal(ClientFault):
    """A provider's own 4xx about the request, passed on with its status, message and code."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, param=failure.param)
        self.failure = failure

    def render(self) -> tuple[int, Headers, bytes]:
        """Return the provider's status, and its error in the gateway's envelope."""
        _, headers, body = super().render()
        return self.failure.status, headers, body

    def to_body(self) -> ErrorBody:
        """Return the inside of the error object."""
        failure = self.failure
        return ErrorBody(failure.message, failure.type or self.type, failure.param, failure.code)


class KnownRefusal(UpstreamRefusal):
    """A refusal whose code agents branch on: where a provider gives none but a number, ours stands in."""

    def to_body(self) -> ErrorBody:
        """Return the inside of the error object."""
        code = self.failure.code
        body = super().to_body()
        named = code is not None and not code.isdecimal()
        return body if named else msgspec.structs.replace(body, code=self.code)


class ContextLengthExceeded(KnownRefusal):
    """400: the request is longer than the model's context; only a larger model could help."""

    code = "context_length_exceeded"


class ContentRefused(KnownRefusal):
    """400: the provider's content policy refused the request; it is not sent elsewhere."""

    code = "content_policy_violation"


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
