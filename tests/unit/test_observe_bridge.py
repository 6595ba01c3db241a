"""Logging of a whole process: libraries and `structlog.get_logger()` come out by the same door."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from router.observe.bridge import configure_logging


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def lines(file: io.BytesIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in file.getvalue().splitlines()]


def test_a_library_warning_becomes_one_of_our_lines() -> None:
    file = io.BytesIO()
    configure_logging("info", "json", file=file)
    logging.getLogger("hypercorn.error").warning("odd %s\n from %s", "header", "Bearer abcdefgh")
    [line] = lines(file)
    assert {name: value for name, value in line.items() if name != "time"} == {
        "level": "warning",
        "event": r"odd header\n from Bearer …",
        "logger": "hypercorn.error",
    }


def test_a_library_exception_is_described() -> None:
    file = io.BytesIO()
    configure_logging("info", "json", file=file)
    try:
        int("the text of somebody")
    except ValueError:
        logging.getLogger("quart.app").exception("Error in ASGI Framework")
    [line] = lines(file)
    assert (line["level"], line["exception"][0]) == ("error", "ValueError")
    assert "somebody" not in str(line)


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", ["warning", "error"]), ("info", ["warning", "error"]), ("error", ["error"])],
)
def test_libraries_are_heard_from_warnings_on(level: Any, heard: list[str]) -> None:
    file = io.BytesIO()
    configure_logging(level, "json", file=file)
    library = logging.getLogger("alembic.runtime")
    library.debug("d")
    library.info("i")
    library.warning("w")
    library.error("e")
    assert [line["level"] for line in lines(file)] == heard


def test_a_level_of_a_librarys_own_is_rounded_down() -> None:
    file = io.BytesIO()
    configure_logging("info", "json", file=file)
    logging.getLogger("odd").log(35, "between")
    logging.getLogger("odd").log(99, "above")
    assert [line["level"] for line in lines(file)] == ["warning", "critical"]


def test_structlog_itself_is_configured() -> None:
    file = io.BytesIO()
    configure_logging("info", "json", file=file)
    logger = structlog.get_logger()
    logger.debug("unwanted")
    logger.info("wanted", api_key="abc")
    [line] = lines(file)
    assert (line["event"], line["api_key"]) == ("wanted", "…")


def test_auto_is_json_in_a_file_and_columns_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file, terminal = io.BytesIO(), Terminal()
    configure_logging("info", "auto", file=file).logger.info("hello", to="file")
    configure_logging("info", "auto", file=terminal).logger.info("hello", to="terminal")
    assert lines(file)[0]["to"] == "file"
    assert b"to=terminal" in terminal.getvalue()


def test_a_terminal_gets_colours_unless_asked_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Terminal(), Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    configure_logging("info", "auto", file=coloured).logger.info("hello")
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logging("info", "auto", file=plain).logger.info("hello")
    assert b"\x1b[" in coloured.getvalue()
    assert b"\x1b[" not in plain.getvalue()


def test_the_default_is_standard_error(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info", "json").logger.info("hello")
    captured = capfdbinary.readouterr()
    assert msgspec.json.decode(captured.err)["event"] == "hello"
    assert captured.out == b""
