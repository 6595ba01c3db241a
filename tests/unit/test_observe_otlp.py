"""Export of spans, to a real collector's address on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from router.observe.record import RequestRecord
from router.observe.trace import tracer_from_environment


class Collector:
    """Takes one export request and keeps it."""

    def __init__(self) -> None:
        bodies: list[tuple[str, bytes]] = []
        self.bodies = bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                bodies.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.timeout = 20
        self.thread = threading.Thread(target=self.server.handle_request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    collector.thread.start()
    yield collector
    collector.thread.join(timeout=30)
    collector.server.server_close()


def exported(collector: Collector) -> tuple[dict[str, str], list[str]]:
    """Resource attributes and span names of the one request that came."""
    tracer = tracer_from_environment(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, version="1.2.3"
    )
    record = RequestRecord(request_id="r", endpoint="chat", started=0.0, started_at=1000.0)
    tracer.begin(record)
    record.outcome = "ok"
    tracer.end(record)
    tracer.shutdown()
    [(path, body)] = collector.bodies
    assert path == "/v1/traces"
    request = ExportTraceServiceRequest.FromString(body)
    [resource_spans] = request.resource_spans
    attributes = {
        attribute.key: attribute.value.string_value
        for attribute in resource_spans.resource.attributes
    }
    names = [span.name for scope in resource_spans.scope_spans for span in scope.spans]
    return attributes, names


def test_spans_reach_the_collector_at_shutdown_at_the_latest(collector: Collector) -> None:
    attributes, names = exported(collector)
    assert names == ["chat"]
    assert (attributes["service.name"], attributes["service.version"]) == ("syze", "1.2.3")


def test_the_environment_names_the_service(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-eu")
    attributes, _ = exported(collector)
    assert attributes["service.name"] == "gateway-eu"
