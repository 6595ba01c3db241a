"""From what an adapter says of a provider's refusal to the error that a client gets."""

from collections.abc import Mapping
from typing import Final

from adapters.dialect import Failure, FailureKind
from router.errors.base import GatewayError
from router.errors.client import ContentRefused, ContextLengthExceeded, UpstreamRefusal
from router.errors.upstream import (
    UpstreamFault,
    UpstreamInvalid,
    UpstreamKeyRejected,
    UpstreamOverloaded,
    UpstreamRateLimited,
)

_BY_KIND: Final[Mapping[FailureKind, type[UpstreamFault]]] = {
    FailureKind.RATE_LIMITED: UpstreamRateLimited,
    FailureKind.OVERLOADED: UpstreamOverloaded,
    FailureKind.CREDENTIAL: UpstreamKeyRejected,
    FailureKind.INVALID: UpstreamInvalid,
}
_REFUSALS: Final[Mapping[FailureKind, type[UpstreamRefusal]]] = {
    FailureKind.CONTEXT_LENGTH: ContextLengthExceeded,
    FailureKind.CONTENT_POLICY: ContentRefused,
    FailureKind.REFUSED: UpstreamRefusal,
}


def from_failure(failure: Failure, *, provider: str) -> GatewayError:
    """Return the error of an upstream failure; what names the operator's account stays inside."""
    refusal = _REFUSALS.get(failure.kind)
    if refusal is not None:
        return refusal(failure)
    fault = _BY_KIND[failure.kind]
    if fault is UpstreamKeyRejected:
        message = f"The provider {provider} is not available to this gateway at present."
    elif fault is UpstreamRateLimited:  # its own words name the operator's organisation and limits
        message = f"The provider {provider} limits the rate of this gateway's requests at present."
    else:
        message = f"The provider {provider} failed: {failure.message}"
    return fault(message, retry_after=failure.retry_after)
