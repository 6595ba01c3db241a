"""Spans: their attributes, times and parents, and the two ways to have none."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from router.observe.record import Outcome, RequestRecord
from router.observe.trace import Tracer, TracingUnavailableError, tracer_from_environment

CLIENTS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENTS_SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01"


class Collected:
    """A tracer whose finished spans can be looked at."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = Tracer(provider)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def span_of(self, record: RequestRecord, **changes: Any) -> ReadableSpan:
        self.tracer.begin(record)
        for name, value in changes.items():
            setattr(record, name, value)
        self.tracer.end(record)
        [span] = self.spans
        return span


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.tracer.shutdown()


def a_record(**changes: Any) -> RequestRecord:
    record = RequestRecord(request_id="req_1", endpoint="chat", started=9.0, started_at=1000.5)
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def test_a_served_stream_has_the_attributes_of_the_convention(collected: Collected) -> None:
    span = collected.span_of(
        a_record(),
        model="openai/gpt-5-mini",
        provider="openai",
        upstream_model="gpt-5-mini",
        upstream_host="upstream.test",
        upstream_port=443,
        key_id="key_1",
        stream=True,
        status=200,
        outcome="ok",
        attempts=1,
        rescuer="mistral",
        first_token_seconds=0.25,
        duration_seconds=2.0,
        input_tokens=11,
        output_tokens=22,
        cached_tokens=3,
        reasoning_tokens=4,
    )
    assert span.name == "chat openai/gpt-5-mini"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert (span.start_time, span.end_time) == (1_000_500_000_000, 1_002_500_000_000)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/gpt-5-mini",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gpt-5-mini",
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 22,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "server.address": "upstream.test",
        "server.port": 443,
        "http.response.status_code": 200,
        "syze.request_id": "req_1",
        "syze.key_id": "key_1",
        "syze.outcome": "ok",
        "syze.attempts": 1,
        "syze.rescuer": "mistral",
        "syze.usage_estimated": False,
    }


@pytest.mark.parametrize(
    ("endpoint", "operation"),
    [("chat", "chat"), ("completions", "text_completion"), ("embeddings", "embeddings")],
)
def test_endpoints_have_the_operation_names_of_the_convention(
    collected: Collected, endpoint: Any, operation: str
) -> None:
    span = collected.span_of(a_record(endpoint=endpoint), outcome="ok")
    assert (span.name, (span.attributes or {})["gen_ai.operation.name"]) == (operation, operation)


@pytest.mark.parametrize(
    ("outcome", "code", "exception", "error_type"),
    [
        ("client_error", "invalid_api_key", None, "invalid_api_key"),
        ("upstream_error", "upstream_unavailable", None, "upstream_unavailable"),
        ("cut", None, None, "cut"),
        ("client_gone", None, None, "client_gone"),
        ("shutdown", None, None, "shutdown"),
        ("bug", "internal_error", KeyError("x"), "KeyError"),
    ],
)
def test_whatever_is_not_a_success_is_an_error_of_some_type(
    collected: Collected,
    outcome: Outcome,
    code: str | None,
    exception: BaseException | None,
    error_type: str,
) -> None:
    span = collected.span_of(
        a_record(), outcome=outcome, error_code=code, exception=exception, upstream_model="m"
    )
    attributes = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == error_type
    assert attributes["syze.outcome"] == outcome
    assert "gen_ai.response.model" not in attributes


def test_a_name_that_nobody_verified_does_not_name_the_span(collected: Collected) -> None:
    secret = "q7Wm2ZxK9pLr4TnV8cYb3HgD6sJf1AeU"
    span = collected.span_of(a_record(), model=f"sk-syze-{secret}", outcome="client_error")
    assert span.name == "chat"
    assert (span.attributes or {})["gen_ai.request.model"] == "sk-syze-…"
    assert secret not in span.to_json()


def test_the_span_continues_the_clients_trace_and_the_upstream_continues_the_span(
    collected: Collected,
) -> None:
    record = a_record(traceparent=TRACEPARENT)
    span = collected.span_of(record, outcome="ok")
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == CLIENTS_SPAN
    assert span.parent.is_remote
    child = collected.tracer.child_traceparent(record)
    assert child is not None
    version, trace_id, span_id, flags = child.split("-")
    context = span.get_span_context()
    assert context is not None
    assert (version, trace_id, flags) == ("00", CLIENTS_TRACE, "01")
    assert span_id == f"{context.span_id:016x}" != CLIENTS_SPAN


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        f"ff-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01",
        f"00-{'0' * 32}-{CLIENTS_SPAN}-01",
        f"00-{CLIENTS_TRACE}-{'0' * 16}-01",
        f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01-extra",
    ],
)
def test_without_a_valid_traceparent_a_new_trace_begins(
    collected: Collected, traceparent: str | None
) -> None:
    record = a_record(traceparent=traceparent)
    assert collected.span_of(record, outcome="ok").parent is None
    child = collected.tracer.child_traceparent(record)
    assert child is not None
    assert CLIENTS_TRACE not in child


def test_the_clients_wish_not_to_be_sampled_is_passed_on(collected: Collected) -> None:
    record = a_record(traceparent=TRACEPARENT[:-2] + "00")
    collected.tracer.begin(record)
    collected.tracer.end(record)
    child = collected.tracer.child_traceparent(record)
    assert collected.spans == ()
    assert child is not None
    assert child.startswith(f"00-{CLIENTS_TRACE}-")
    assert child.endswith("-00")


def test_a_sampler_that_drops_costs_no_attributes() -> None:
    collected = Collected(sampler=ALWAYS_OFF)
    record = a_record(outcome="ok")
    collected.tracer.begin(record)
    collected.tracer.end(record)
    assert collected.spans == ()
    assert collected.tracer.enabled


def test_a_span_around_the_gateway_is_not_its_parent(collected: Collected) -> None:
    outer = TracerProvider(shutdown_on_exit=False).get_tracer("outer")
    with outer.start_as_current_span("outer"):
        assert collected.span_of(a_record(), outcome="ok").parent is None


def test_a_tracer_that_is_off_makes_no_span_and_leaves_the_clients_trace_alone() -> None:
    tracer = tracer_from_environment({}, version="1")
    record = a_record(traceparent=TRACEPARENT)
    tracer.begin(record)
    tracer.end(record)
    assert not tracer.enabled
    assert record.span is None
    assert tracer.child_traceparent(record) == TRACEPARENT
    tracer.shutdown()


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_missing_packages_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "router.observe.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(TracingUnavailableError, match=rf"{name} is set.*syzeai\[otlp\]"):
        tracer_from_environment({name: "http://127.0.0.1:4318"}, version="1")


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    with pytest.raises(TracingUnavailableError, match="'grpc' is not supported"):
        tracer_from_environment(environment, version="1")


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert not tracer_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, version="1").enabled
