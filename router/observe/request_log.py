"""The lines of finished requests, which are nearly all lines that a gateway writes.

There are thousands in a second, alike but for their figures. So a line whose texts are known to be harmless
takes a shortcut to the file, and only the others pass the pipeline of `router.observe.log`. Both give the
same line.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Final

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
_NAMES: Final = {logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}

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


class RequestLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a line tells of a request, in this order; what is `None` is not told. Seconds to 0.1 ms."""

    request_id: str | None = None
    endpoint: str | None = None
    model: str | None = None
    provider: str | None = None
    upstream_model: str | None = None
    key_id: str | None = None
    client_host: str | None = None
    traceparent: str | None = None
    stream: bool | None = None
    status: int | None = None
    outcome: str | None = None
    error_code: str | None = None
    attempts: int | None = None
    rescuer: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_estimated: bool | None = None
    events: int | None = None
    sent_bytes: int | None = None
    duration_seconds: float | None = None
    first_token_seconds: float | None = None


def line_of(record: RequestRecord) -> RequestLine:
    """Return what is told of a finished request."""
    first_token = record.first_token_seconds
    return RequestLine(
        record.request_id,
        record.endpoint,
        record.model,
        record.provider,
        record.upstream_model,
        record.key_id,
        record.client_host,
        record.traceparent,
        record.stream,
        record.status,
        record.outcome,
        record.error_code,
        record.attempts,
        record.rescuer,
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        record.reasoning_tokens,
        record.usage_estimated,
        record.events,
        record.sent_bytes,
        int(record.duration_seconds * 10_000 + 0.5) / 10_000,
        None if first_token is None else int(first_token * 10_000 + 0.5) / 10_000,
    )


class Shortcut:
    """The pipeline's effect on a harmless line, in one step.

    The texts of a line that somebody else chose are looked at once and then remembered together, up to a
    number of such sets: few models, keys and clients make nearly all lines. Request ids are our own.
    """

    def __init__(self, clock: LineClock, fields: Mapping[str, object]) -> None:
        self._clock = clock
        self._known: set[tuple[str | None, ...]] = set()
        self._encode = msgspec.json.Encoder().encode
        more = self._encode(clean_fields(fields)).decode()[1:-1]
        self._after_level = f'","event":"request",{more}{"," if more else ""}'

    def line(self, level: str, record: RequestRecord) -> bytes | None:
        """Return the line of a record, if all its texts are harmless."""
        texts = _foreign_texts(record)
        if texts not in self._known and not self._learns(texts):
            return None
        time = self._clock.tell(record.ended_at)
        beginning = f'{{"time":"{time}","level":"{level}{self._after_level}'
        return beginning.encode() + self._encode(line_of(record))[1:]

    def _learns(self, texts: tuple[str | None, ...]) -> bool:
        if any(text is not None and clean_text(text) != text for text in texts):
            return False
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(texts)
        return True


class RequestLog:
    """Writes the lines of finished requests: by the shortcut where there is one that knows the texts."""

    def __init__(
        self,
        logger: FilteringBoundLogger,
        shortcut: Shortcut | None,
        *,
        writer: LineWriter,
        clock: LineClock,
    ) -> None:
        self._logger = logger
        self._writer = writer
        self._clock = clock
        self._shortcut = shortcut
        self._told = {
            outcome: _NAMES[level]
            for outcome, level in _LEVEL_OF_OUTCOME.items()
            if logger.is_enabled_for(level)
        }

    def write(self, records: Iterable[RequestRecord]) -> None:
        """Write the lines of finished requests: event "request", no unknown fields.

        Level info for success, the client's own errors and a client that left; warning for upstream
        errors, cuts and requests that shutdown ended; error, with the exception, for our bugs. The time is
        when the request ended.
        """
        lines = []
        for record in records:
            level = self._told.get(record.outcome)
            if level is None:
                continue
            line = None
            if self._shortcut is not None and record.exception is None:
                line = self._shortcut.line(level, record)
            if line is not None:
                lines.append(line)
                continue
            self._writer.write_all(lines)
            lines.clear()
            self._log(record)
        self._writer.write_all(lines)

    def catch_up_by(self, catch_up: Callable[[], None]) -> None:
        """Have lines that were put off written before any other, by `catch_up`."""
        self._writer.catch_up = catch_up

    def _log(self, record: RequestRecord) -> None:
        told = msgspec.structs.asdict(line_of(record))
        fields = {name: value for name, value in told.items() if value is not None}
        if record.exception is not None:
            fields["exc_info"] = record.exception
        fields["time"] = self._clock.tell(record.ended_at)
        self._logger.log(_LEVEL_OF_OUTCOME[record.outcome], "request", **fields)
