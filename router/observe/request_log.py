"""The lines of finished requests, which are nearly all lines that a gateway writes.

There are thousands in a second, alike but for their figures. So a line whose texts are known to be harmless
takes a shortcut to the file, and only the others pass the pipeline of `router.observe.log`. Both give the
same line.
"""

import logging
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from router.observe.clean import clean_fields, clean_text
from router.observe.line import LineClock, LineWriter
from router.observe.record import Outcome, RequestRecord

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
# What a line says in words that are not the gateway's own.
_foreign_texts: Final[Callable[[RequestRecord], tuple[str | None, ...]]] = attrgetter(
    "model",
    "provider",
    "upstream_model",
    "key_id",
    "client_host",
    "traceparent",
    "error_code",
    "rescuer",
)
_MOST_KNOWN: Final = 1000
_NAMES: Final = {logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}
_request_values: Final[Callable[[RequestRecord], tuple[object, ...]]] = attrgetter(*_REQUEST_FIELDS)


class Shortcut:
    """The pipeline's effect on a harmless line, in one step.

    The texts of a line that somebody else chose are looked at once and then remembered together, up to a
    number of such sets: few models, keys and clients make nearly all lines. Request ids are our own.
    """

    def __init__(self, writer: LineWriter, clock: LineClock, fields: Mapping[str, object]) -> None:
        self._writer = writer
        self._clock = clock
        self._fields = clean_fields(fields)
        self._known: set[tuple[str | None, ...]] = set()
        self._encode = msgspec.json.Encoder().encode

    def knows(self, record: RequestRecord) -> bool:
        """Whether all texts of the record's line are harmless."""
        texts = _foreign_texts(record)
        if texts in self._known:
            return True
        if any(text is not None and clean_text(text) != text for text in texts):
            return False
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(texts)
        return True

    def write(self, level: int, fields: Mapping[str, object], *, soon: bool) -> None:
        """Write a line with these fields, at once or soon."""
        line = self._encode(
            {
                "time": self._clock.now(),
                "level": _NAMES[level],
                "event": "request",
                **self._fields,
                **fields,
            }
        )
        if soon:
            self._writer.write_soon(line)
        else:
            self._writer.write(line)


class RequestLog:
    """Writes the lines of finished requests: by the shortcut where there is one that knows the texts."""

    def __init__(self, logger: FilteringBoundLogger, shortcut: Shortcut | None) -> None:
        self._logger = logger
        self._shortcut = shortcut

    def write(self, record: RequestRecord) -> None:
        """Write the line of a finished request: event "request", seconds to 0.1 ms, no unknown fields.

        Level info for success, the client's own errors and a client that left; warning for upstream
        errors, cuts and requests that shutdown ended; error, with the exception, for our bugs.
        """
        level = _LEVEL_OF_OUTCOME[record.outcome]
        if not self._logger.is_enabled_for(level):
            return
        fields = _fields_of(record)
        if record.exception is not None:
            self._logger.log(level, "request", exc_info=record.exception, **fields)
        elif self._shortcut is None or not self._shortcut.knows(record):
            self._logger.log(level, "request", **fields)
        else:
            self._shortcut.write(level, fields, soon=record.outcome == "ok")


def _fields_of(record: RequestRecord) -> dict[str, Any]:
    fields = {
        name: value
        for name, value in zip(_REQUEST_FIELDS, _request_values(record), strict=True)
        if value is not None
    }
    fields["duration_seconds"] = round(record.duration_seconds, 4)
    if record.first_token_seconds is not None:
        fields["first_token_seconds"] = round(record.first_token_seconds, 4)
    return fields
