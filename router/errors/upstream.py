"""The upstreams' faults: a provider failed us, and another candidate may serve."""

from typing import ClassVar, Final

from router.errors.base import GatewayError

UNAVAILABLE_RETRY_SECONDS: Final = 15.0


class UpstreamFault(GatewayError):
    """503: a provider failed; another candidate may serve. The client is never told the provider's key."""

    status = 503
    code: ClassVar[str | None] = "upstream_unavailable"
    another_attempt = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(
            message,
            retry_after=UNAVAILABLE_RETRY_SECONDS if retry_after is None else retry_after,
        )
        self.told_retry_after = retry_after


class UpstreamUnreachable(UpstreamFault):
    """Refused, reset, or a DNS or TLS failure before a response."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamFault):
    """Nothing came within the limit for the first byte, or the whole call took too long."""

    code = "upstream_timeout"


class UpstreamRateLimited(UpstreamFault):
    """The provider answered 429: its key is parked for the Retry-After."""

    code = "upstream_rate_limited"


class UpstreamOverloaded(UpstreamFault):
    """The provider answered 5xx or 529."""

    code = "upstream_overloaded"


class UpstreamKeyRejected(UpstreamFault):
    """The provider refused the operator's key or account (401, 402, 403); the client cannot mend that."""

    code = "upstream_key_rejected"


class UpstreamInvalid(UpstreamFault):
    """The provider's answer could not be understood."""

    code = "upstream_invalid_response"


class UpstreamExhausted(UpstreamFault):
    """Every candidate failed or has to be left alone; says why, one provider after the other."""

    code = "upstream_exhausted"


class StreamBroken(UpstreamFault):
    """The stream was cut, stalled or broken after its first bytes had gone to the client."""

    code = "upstream_stream_broken"
