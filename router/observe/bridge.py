"""Logging for a whole process.

The gateway's own code writes to a log it was given. The libraries below it (hypercorn, Quart,
SQLAlchemy, Alembic, OpenTelemetry) write to the standard library's, and whatever calls
`structlog.get_logger()` writes to structlog's. This is the one place that changes those two
globals, called once by whoever starts the process, so that every line leaves through the same
pipeline and the same file.
"""

import logging
import os
import sys
from typing import BinaryIO, Literal

import structlog
from structlog.typing import FilteringBoundLogger

from router.observe.log import Level, Log, make_log

LogFormat = Literal["json", "console", "auto"]


class StandardLibraryBridge(logging.Handler):
    """Carries records of the standard library's logging over to a structlog logger."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record at its level, rounded down to one that structlog knows."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        self._logger.log(
            level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
        )


def configure_logging(
    level: Level = "info",
    log_format: LogFormat = "auto",
    *,
    file: BinaryIO | None = None,
    worker: int | None = None,
) -> Log:
    """Send every log line of this process to `file`, or to standard error, and return the log.

    "auto" is columns on a terminal and JSON elsewhere. With `worker`, every line has that number.
    Libraries are heard from warnings on, or from `level` on where that is higher. Replaces the
    handlers of the root logger and structlog's configuration.
    """
    file = file if file is not None else sys.stderr.buffer
    terminal = file.isatty()
    columns = log_format == "console" or (log_format == "auto" and terminal)
    log = make_log(
        file,
        level=level,
        rendering="console" if columns else "json",
        colors=terminal and "NO_COLOR" not in os.environ,
        fields={} if worker is None else {"worker": worker},
    )
    structlog.configure(
        processors=log.processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: log.writer,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [StandardLibraryBridge(log.logger)]
    root.setLevel(logging.WARNING)
    return log
