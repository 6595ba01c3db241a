"""What is known of one request.

Every request has exactly one record. It is opened when the request arrives, filled in by whoever
learns something, and closed once; the log line, the metrics and the span are three renderings of
it, so they can never tell different stories. It has no field for a prompt, an answer or a secret:
what is not in the record cannot leak from it.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec
from opentelemetry.trace import Span

from adapters.dialect import Usage

Endpoint = Literal[
    "chat", "completions", "embeddings", "messages", "count_tokens", "responses", "rerank"
]

Outcome = Literal[
    "ok",
    "client_error",
    "upstream_error",
    "cut",  # broken after the first byte had gone out
    "client_gone",
    "shutdown",
    "bug",
]

# Beyond this a float, which is what a Prometheus counter is, no longer counts by ones.
MOST_TOKENS: Final = 1 << 53


class Cost(Protocol):
    """What one upstream attempt came to."""

    @property
    def provider(self) -> str:
        """Who was asked."""

    @property
    def role(self) -> str:
        """Why: first, retry, hedge, rescue."""

    @property
    def fate(self) -> str:
        """What became of it."""

    @property
    def payer(self) -> str:
        """Who pays: customer, operator."""

    @property
    def usage(self) -> Usage:
        """The tokens it took."""


class RequestRecord(msgspec.Struct, kw_only=True):
    """One request, from arrival to end. Mutable; belongs to the request's own task.

    `started` is on the observer's monotonic clock and `started_at` is unix time; every other time
    is a length in seconds. None means not known, or that it never came to that.
    """

    request_id: str
    endpoint: Endpoint
    started: float
    started_at: float

    model: str | None = None
    """As the client asked for it: untrusted text."""
    provider: str | None = None
    upstream_model: str | None = None
    upstream_host: str | None = None
    upstream_port: int | None = None
    key_id: str | None = None
    stream: bool = False
    client_host: str | None = None
    traceparent: str | None = None
    """As the client sent it: untrusted text."""

    status: int | None = None
    """The HTTP status the client was told; None if it was told nothing."""
    outcome: Outcome = "bug"
    """Until somebody says how a request ended, the fault is ours: silence is not success."""
    error_code: str | None = None
    exception: BaseException | None = None
    attempts: int = 0
    hedged: bool = False
    """Whether the answer came from a hedge, an attempt that was started beside a running one."""
    rescuer: str | None = None
    """The provider that went on with the answer after the stream of `provider` broke."""

    first_token_seconds: float | None = None
    """From arrival to the first meaningful event."""
    duration_seconds: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Part of `input_tokens`."""
    reasoning_tokens: int | None = None
    """Part of `output_tokens`."""
    usage_estimated: bool = False
    events: int = 0
    """Streamed events relayed to the client."""
    sent_bytes: int = 0

    costs: Sequence[Cost] = ()
    """Of its attempts, in the order in which they began."""
    span: Span | None = None
    ended: bool = False

    @property
    def ended_at(self) -> float:
        """When the request ended, in unix time."""
        return self.started_at + self.duration_seconds

    def drop_impossible_usage(self) -> None:
        """Forget token counts that no model can have used.

        Usage is an upstream's word. A negative or absurd count would raise inside a counter while
        the request is being cleaned up, where nothing may raise.
        """
        if (
            0 <= (self.input_tokens or 0) <= MOST_TOKENS
            and 0 <= (self.output_tokens or 0) <= MOST_TOKENS
            and 0 <= (self.cached_tokens or 0) <= MOST_TOKENS
            and 0 <= (self.reasoning_tokens or 0) <= MOST_TOKENS
        ):
            return
        self.input_tokens = _possible(self.input_tokens)
        self.output_tokens = _possible(self.output_tokens)
        self.cached_tokens = _possible(self.cached_tokens)
        self.reasoning_tokens = _possible(self.reasoning_tokens)


def _possible(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens <= MOST_TOKENS else None
