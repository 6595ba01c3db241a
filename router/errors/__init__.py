"""Every error a client can meet, in one tree with three branches.

`ClientFault`: the request cannot be served as it stands. `UpstreamFault`: a provider failed us.
`GatewayFault`: our own fault. Each class states its HTTP status, OpenAI's `type` and `code`, and whether
another attempt may help. Errors of other libraries are translated into this tree once, at
`router.upstream` and at the adapter.

Rendered as OpenAI's `{"error": {"message", "type", "param", "code"}}`.
"""

from router.errors.base import ErrorBody, GatewayError, Headers
from router.errors.client import (
    BodyTooLarge,
    BodyTooSlow,
    ClientFault,
    ContentRefused,
    ContextLengthExceeded,
    CreditEmpty,
    CreditHeld,
    FileNotFetched,
    InvalidKey,
    InvalidRequest,
    KnownRefusal,
    LimitExceeded,
    MalformedRequest,
    MethodNotAllowed,
    MissingKey,
    ModelNotAllowed,
    ModelNotFound,
    ModelNotPriced,
    PathNotFound,
    ResponseNotFound,
    ScopeMissing,
    UpstreamRefusal,
)
from router.errors.own import BooksUnavailable, GatewayBug, GatewayFault, LimitsUnavailable
from router.errors.translation import from_failure
from router.errors.upstream import (
    StreamBroken,
    UpstreamExhausted,
    UpstreamFault,
    UpstreamInvalid,
    UpstreamKeyRejected,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)

__all__ = [
    "BodyTooLarge",
    "BodyTooSlow",
    "BooksUnavailable",
    "ClientFault",
    "ContentRefused",
    "ContextLengthExceeded",
    "CreditEmpty",
    "CreditHeld",
    "ErrorBody",
    "FileNotFetched",
    "GatewayBug",
    "GatewayError",
    "GatewayFault",
    "Headers",
    "InvalidKey",
    "InvalidRequest",
    "KnownRefusal",
    "LimitExceeded",
    "LimitsUnavailable",
    "MalformedRequest",
    "MethodNotAllowed",
    "MissingKey",
    "ModelNotAllowed",
    "ModelNotFound",
    "ModelNotPriced",
    "PathNotFound",
    "ResponseNotFound",
    "ScopeMissing",
    "StreamBroken",
    "UpstreamExhausted",
    "UpstreamFault",
    "UpstreamInvalid",
    "UpstreamKeyRejected",
    "UpstreamOverloaded",
    "UpstreamRateLimited",
    "UpstreamRefusal",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "from_failure",
]
