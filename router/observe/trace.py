"""A span for each request, and the place of a request in somebody else's trace.

The span follows OpenTelemetry's conventions for generative AI, in the form they had in autumn 2026
(github.com/open-telemetry/semantic-conventions-genai; nothing in them is declared stable). It is
opened when the request arrives, because its identity goes to the upstream in the `traceparent`
header, and gets all its attributes from the finished record.

Only the OpenTelemetry API is imported here. The SDK and the exporter are loaded when the standard
environment variables name a collector. Without one, tracing is off: `enabled` is False and nothing
else is ever looked at.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from router.observe.clean import clean_text
from router.observe.record import Endpoint, RequestRecord

ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_OPERATIONS: Final[Mapping[Endpoint, str]] = {
    "chat": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "messages": "chat",
    "count_tokens": "count_tokens",
    "responses": "chat",
    "rerank": "rerank",
}


class TracingUnavailableError(Exception):
    """Tracing was asked for and cannot be had; the message says what to do."""


class SpanProvider(Protocol):
    """The part of OpenTelemetry's TracerProvider that is used here."""

    def get_tracer(self, instrumenting_module_name: str, /) -> trace.Tracer:
        """A tracer for the named library."""

    def shutdown(self) -> None:
        """Send what is waiting, then stop."""


class Tracer:
    """Opens and closes the spans of requests. Off without a provider."""

    def __init__(self, provider: SpanProvider | None = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("syzeai")
        self._propagator = TraceContextTextMapPropagator()
        self.enabled = provider is not None

    def begin(self, record: RequestRecord) -> None:
        """Open the record's span, as a child of the client's if its `traceparent` is valid."""
        if self._tracer is None:
            return
        context = Context()
        if record.traceparent is not None:
            context = self._propagator.extract({"traceparent": record.traceparent}, context)
        record.span = self._tracer.start_span(
            _OPERATIONS[record.endpoint],
            context=context,
            kind=SpanKind.CLIENT,
            start_time=_nanoseconds(record.started_at),
        )

    def end(self, record: RequestRecord) -> None:
        """Close the record's span, with everything the record knows by then. Never blocks."""
        span = record.span
        if span is None:
            return
        if span.is_recording():
            operation = _OPERATIONS[record.endpoint]
            # A name is for grouping, so one that nobody has verified stays out of it.
            known = record.model is not None and record.provider is not None
            span.update_name(f"{operation} {record.model}" if known else operation)
            span.set_attributes(_attributes(record))
            if record.outcome != "ok":
                span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=_nanoseconds(record.ended_at))

    def child_traceparent(self, record: RequestRecord) -> str | None:
        """The `traceparent` for the upstream request.

        It names the record's span. With tracing off it is the client's own, unread: a link in the
        middle that takes no part in a trace should not break it.
        """
        if record.span is None:
            return record.traceparent
        context = record.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def shutdown(self) -> None:
        """Send what is waiting to be sent, then stop.

        Blocks, for half a minute at worst, so under trio it belongs in a thread with a deadline.
        """
        if self._provider is not None:
            self._provider.shutdown()


def tracer_from_environment(environment: Mapping[str, str], *, version: str) -> Tracer:
    """A tracer that exports to the collector named in `environment`, or one that is off.

    Looks for OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; what else the
    OpenTelemetry SDK knows, it takes from the process's environment itself. Raises
    `TracingUnavailableError` if the packages are missing or if they are to speak another protocol
    than HTTP.
    """
    variable = next((name for name in ENDPOINT_VARIABLES if environment.get(name)), None)
    if variable is None:
        return Tracer()
    protocol = next((environment[name] for name in PROTOCOL_VARIABLES if environment.get(name)), "")
    if protocol not in {"", "http/protobuf"}:
        raise TracingUnavailableError(
            f"the OTLP protocol {protocol!r} is not supported; traces go out as http/protobuf "
            "(the collector's port is 4318, usually)"
        )
    try:
        from router.observe.otlp import make_provider  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise TracingUnavailableError(
            f"{variable} is set, but the packages for it are not installed: "
            "pip install 'syzeai[otlp]'"
        ) from error
    return Tracer(make_provider(version))


def _attributes(record: RequestRecord) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue | None] = {
        "gen_ai.operation.name": _OPERATIONS[record.endpoint],
        "gen_ai.provider.name": record.provider or "syze",
        "gen_ai.request.model": _clean(record.model),
        "gen_ai.request.stream": record.stream,
        "gen_ai.response.model": _clean(record.upstream_model) if _answered(record) else None,
        "gen_ai.response.time_to_first_chunk": record.first_token_seconds,
        "gen_ai.usage.input_tokens": record.input_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": record.reasoning_tokens,
        "server.address": record.upstream_host,
        "server.port": record.upstream_port,
        "error.type": None if record.outcome == "ok" else _error_type(record),
        "http.response.status_code": record.status,
        "syze.request_id": _clean(record.request_id),
        "syze.key_id": record.key_id,
        "syze.outcome": record.outcome,
        "syze.attempts": record.attempts,
        "syze.rescuer": record.rescuer,
        "syze.usage_estimated": record.usage_estimated,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _answered(record: RequestRecord) -> bool:
    return record.outcome == "ok" or record.first_token_seconds is not None


def _error_type(record: RequestRecord) -> str:
    if record.exception is not None:
        return type(record.exception).__qualname__
    return clean_text(record.error_code or record.outcome)


def _clean(text: str | None) -> str | None:
    return None if text is None else clean_text(text)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
