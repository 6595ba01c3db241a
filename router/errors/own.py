"""The gateway's own faults: a bug, or a part of it that is away."""

from typing import ClassVar, Final

from router.errors.base import GatewayError

RETRY_SECONDS: Final = 5.0


class GatewayFault(GatewayError):
    """500 or 503: it is not the client's fault, and no other provider could help."""


class GatewayBug(GatewayFault):
    """500: a fault of the gateway itself; the request id finds it in the log."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"The gateway failed on this request (request id {request_id}).")


class LimitsUnavailable(GatewayFault):
    """503: the store of the shared limits is away, and the operator chose to refuse then."""

    status = 503
    code: ClassVar[str | None] = "limits_unavailable"

    def __init__(self) -> None:
        super().__init__("Limits cannot be checked at present.", retry_after=RETRY_SECONDS)


class BooksUnavailable(GatewayFault):
    """503: what requests cost cannot be written down, or credit has not been readable for too long."""

    status = 503
    code: ClassVar[str | None] = "books_unavailable"

    def __init__(self) -> None:
        super().__init__("Usage cannot be recorded at present.", retry_after=RETRY_SECONDS)
