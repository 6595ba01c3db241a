"""One structured line for everything worth telling.

Lines are JSON for machines and columns for a terminal. All of them pass through the same short
pipeline: explain the exception, clean every string, stamp, render, write. The level is decided
before any of that, so a line nobody wants costs one method call.
"""

import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import BinaryIO, Literal, NamedTuple

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from router.observe.clean import clean_fields
from router.observe.fault import describe
from router.observe.line import LineClock, LineWriter
from router.observe.request_log import RequestLog, Shortcut

Level = Literal["debug", "info", "warning", "error", "critical"]
Rendering = Literal["json", "console"]


class Log(NamedTuple):
    """A structlog logger, with the pipeline its lines pass and the writer they end in.

    `requests` writes the lines of finished requests, which are nearly all.
    """

    logger: FilteringBoundLogger
    processors: tuple[Processor, ...]
    writer: LineWriter
    requests: RequestLog


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
    clock = LineClock(wall_clock)
    processors = (
        *([_adder(fields)] if fields else []),
        _explainer(messages=level == "debug"),
        _clean,
        _stamper(clock),
        _console_renderer(colors=colors) if rendering == "console" else _json_renderer(),
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        writer,
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
    ).bind()
    shortcut = Shortcut(clock, fields) if rendering == "json" else None
    return Log(logger, processors, writer, RequestLog(logger, shortcut, writer=writer, clock=clock))


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


def _stamper(clock: LineClock) -> Processor:
    def stamp(_logger: object, method: str, event: EventDict) -> EventDict:
        return {
            "time": clock.now(),
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
