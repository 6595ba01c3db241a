"""Spans on their way to a collector.

The only module that needs the OpenTelemetry SDK, which is an optional extra; `trace` imports it
when a collector is configured. Spans are collected in a bounded queue and sent by a thread of the
SDK's own, so a slow or absent collector costs spans and nothing else.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def make_provider(version: str) -> TracerProvider:
    """A provider that exports by OTLP over HTTP, as the OTEL_* environment variables say.

    The service is called "syze" unless they name it. Starts a thread; whoever calls this calls
    `shutdown` too, nothing is left to the end of the interpreter.
    """
    ours = Resource.create({"service.name": "syze", "service.version": version})
    provider = TracerProvider(
        resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
