"""One structured line for everything worth telling.

Lines are JSON for machines and columns for a terminal. All of them pass through the same short
pipeline: explain the exception, clean every string, stamp, render, write. The level is decided
before any of that, so a line nobody wants costs one method call.

Writing never raises. A log pipe whose reader has died must not fail requests; lines that could not
be written are counted instead, and the count is a metric.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from router.observe.clean import clean_fields
from router.observe.fault import describe
from router.observe.record import Outcome, RequestRecord

Level = Literal["debug", "info", "warning", "error", "critical"]
Rendering = Literal["json", "console"]

_LEVEL_OF_OUTCOME: Final[Mapping[Outcome, int]] = {
    "ok": logging.INFO,
    "client_error": logging.INFO,
    "client_gone": logging.INFO,
    "shutdown": logging.WARNING,
    "upstream_error": logging.WARNING,
    "cut": logging.WARNING,
    "bug": logging.ERROR,
}

_REQUEST_FIELDS: Final = (
    "request_id",
    "endpoint",
    "model",
    "provider",
    "upstream_model",
    "key_id",
    "client_host",
    "traceparent",
    "stream",
    "status",
    "outcome",
    "error_code",
    "attempts",
    "rescuer",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "usage_estimated",
    "events",
    "sent_bytes",
)
_request_values: Final[Callable[[RequestRecord], tuple[object, ...]]] = attrgetter(*_REQUEST_FIELDS)


class LineWriter:
    """Writes finished lines to `file` and counts those it could not write."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.lost_lines = 0

    def write(self, line: bytes) -> None:
        """Write and flush one line. Blocks as long as the file does; raises for no broken file."""
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except (OSError, ValueError):  # a closed file raises ValueError
            self.lost_lines += 1

    # structlog hands a rendered line to the method named after its level.
    debug = info = warning = error = critical = write


class Log(NamedTuple):
    """A structlog logger, with the pipeline its lines pass and the writer they end in."""

    logger: FilteringBoundLogger
    processors: tuple[Processor, ...]
    writer: LineWriter


def make_log(
    file: BinaryIO,
    *,
    level: Level = "info",
    rendering: Rendering = "json",
    colors: bool = False,
    fields: Mapping[str, object] = MappingProxyType({}),
    wall_clock: Callable[[], float] = time.time,
) -> Log:
    """A log that writes to `file` and touches nothing global.

    Every line has `fields`. `wall_clock` gives unix seconds. What exceptions say is written only at
    level "debug", because it may quote what a client sent; their classes and places are always
    written.
    """
    writer = LineWriter(file)
    processors = (
        *([_adder(fields)] if fields else []),
        _explainer(messages=level == "debug"),
        _clean,
        _stamper(wall_clock),
        _console_renderer(colors=colors) if rendering == "console" else _json_renderer(),
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        writer,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
    ).bind()
    return Log(logger, processors, writer)


def log_request(logger: FilteringBoundLogger, record: RequestRecord) -> None:
    """Write the line of a finished request: event "request", seconds to 0.1 ms, no unknown fields.

    Level info for success, the client's own errors and a client that left; warning for upstream
    errors, cuts and requests that shutdown ended; error, with the exception, for our bugs.
    """
    level = _LEVEL_OF_OUTCOME[record.outcome]
    if not logger.is_enabled_for(level):
        return
    fields: dict[str, Any] = {
        name: value
        for name, value in zip(_REQUEST_FIELDS, _request_values(record), strict=True)
        if value is not None
    }
    fields["duration_seconds"] = round(record.duration_seconds, 4)
    if record.first_token_seconds is not None:
        fields["first_token_seconds"] = round(record.first_token_seconds, 4)
    if record.exception is not None:
        fields["exc_info"] = record.exception
    logger.log(level, "request", **fields)


def _adder(fields: Mapping[str, object]) -> Processor:
    def add(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**fields, **event}

    return add


def _explainer(*, messages: bool) -> Processor:
    def explain(_logger: object, _method: str, event: EventDict) -> EventDict:
        error = event.pop("exc_info", None)
        if error is True:
            error = sys.exception()
        elif isinstance(error, tuple):
            error = error[1]
        if isinstance(error, BaseException):
            event["exception"] = describe(error, messages=messages)
        return event

    return explain


def _clean(_logger: object, _method: str, event: EventDict) -> EventDict:
    return clean_fields(event)


def _stamper(wall_clock: Callable[[], float]) -> Processor:
    def stamp(_logger: object, method: str, event: EventDict) -> EventDict:
        moment = datetime.fromtimestamp(wall_clock(), UTC).isoformat(timespec="milliseconds")
        return {
            "time": moment.removesuffix("+00:00") + "Z",
            "level": method,
            "event": event.pop("event", ""),
            **event,
        }

    return stamp


def _json_renderer() -> Processor:
    encode = msgspec.json.Encoder().encode

    def render(_logger: object, _method: str, event: EventDict) -> bytes:
        return encode(event)

    return render


def _console_renderer(*, colors: bool) -> Processor:
    columns = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, timestamp_key="time")

    def render(logger: object, method: str, event: EventDict) -> bytes:
        if "exception" in event:
            event["exception"] = "  " + "\n  ".join(event["exception"])
        return columns(logger, method, event).encode()

    return render
