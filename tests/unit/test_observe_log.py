"""The log line: what it says for every outcome, and that nothing breaks its form."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.observe.fault import describe
from router.observe.line import MOST_BYTES
from router.observe.log import Level, Log, make_log
from router.observe.record import Outcome, RequestRecord

NOON = 1_800_014_400.25  # 2027-01-15T12:00:00.250Z


def a_record(**changes: Any) -> RequestRecord:
    record = RequestRecord(request_id="req_1", endpoint="chat", started=5.0, started_at=NOON)
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def a_log(file: io.BytesIO, level: Level = "info") -> Log:
    return make_log(file, level=level, wall_clock=lambda: NOON)


def lines(file: io.BytesIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in file.getvalue().splitlines()]


def logged(record: RequestRecord, level: Level = "info") -> dict[str, Any]:
    file = io.BytesIO()
    a_log(file, level).requests.write([record])
    [line] = lines(file)
    return line


def test_a_finished_stream_says_all_that_is_known() -> None:
    record = a_record(
        model="openai/gpt-5-mini",
        provider="openai",
        upstream_model="gpt-5-mini",
        upstream_host="upstream.test",
        upstream_port=443,
        key_id="key_1",
        client_host="203.0.113.9",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        stream=True,
        status=200,
        outcome="ok",
        attempts=1,
        rescuer="mistral",
        first_token_seconds=0.123449,
        started_at=NOON - 2.00005001,
        duration_seconds=2.00005001,
        input_tokens=11,
        output_tokens=22,
        cached_tokens=0,
        reasoning_tokens=4,
        usage_estimated=True,
        events=23,
        sent_bytes=4567,
    )
    assert logged(record) == {
        "time": "2027-01-15T12:00:00.250Z",
        "level": "info",
        "event": "request",
        "request_id": "req_1",
        "endpoint": "chat",
        "model": "openai/gpt-5-mini",
        "provider": "openai",
        "upstream_model": "gpt-5-mini",
        "key_id": "key_1",
        "client_host": "203.0.113.9",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "attempts": 1,
        "rescuer": "mistral",
        "first_token_seconds": 0.1234,
        "duration_seconds": 2.0001,
        "input_tokens": 11,
        "output_tokens": 22,
        "cached_tokens": 0,
        "reasoning_tokens": 4,
        "usage_estimated": True,
        "events": 23,
        "sent_bytes": 4567,
    }


@pytest.mark.parametrize(
    ("outcome", "status", "code", "level"),
    [
        ("ok", 200, None, "info"),
        ("client_error", 401, "invalid_api_key", "info"),
        ("client_gone", None, None, "info"),
        ("shutdown", None, None, "warning"),
        ("upstream_error", 503, "upstream_unavailable", "warning"),
        ("cut", 200, "upstream_cut", "warning"),
        ("bug", 500, "internal_error", "error"),
    ],
)
def test_each_outcome_has_its_level_and_leaves_out_what_is_not_known(
    outcome: Outcome, status: int | None, code: str | None, level: str
) -> None:
    line = logged(a_record(outcome=outcome, status=status, error_code=code))
    known = {"status": status, "error_code": code}
    assert line == {
        "time": "2027-01-15T12:00:00.250Z",
        "level": level,
        "event": "request",
        "request_id": "req_1",
        "endpoint": "chat",
        "stream": False,
        "outcome": outcome,
        "attempts": 0,
        "usage_estimated": False,
        "events": 0,
        "sent_bytes": 0,
        "duration_seconds": 0.0,
    } | {name: value for name, value in known.items() if value is not None}


def test_a_record_that_nobody_classified_is_a_bug() -> None:
    assert logged(a_record())["level"] == "error"


def test_the_level_filters() -> None:
    file = io.BytesIO()
    log = a_log(file, "warning")
    log.requests.write([a_record(outcome="ok")])
    assert file.getvalue() == b""
    log.requests.write([a_record(outcome="cut")])
    assert [line["outcome"] for line in lines(file)] == ["cut"]


@pytest.mark.parametrize(
    "name", ['a"}\n{"event":"forged"}', "\r\n\r\n", "\x00\x1b[2J", "\u2028x", "lone \ud800"]
)
def test_no_model_name_breaks_the_line(name: str) -> None:
    file = io.BytesIO()
    a_log(file).requests.write([a_record(model=name, outcome="client_error")])
    assert len(file.getvalue().decode().splitlines()) == 1
    assert file.getvalue().endswith(b"}\n")
    assert lines(file)[0]["event"] == "request"


def test_a_key_sent_as_the_model_name_does_not_reach_the_log() -> None:
    secret = "q7Wm2ZxK9pLr4TnV8cYb3HgD6sJf1AeU"
    line = logged(a_record(model=f"sk-syze-{secret}", traceparent=f"Bearer {secret}"))
    assert line["model"] == "sk-syze-…"
    assert line["traceparent"] == "Bearer …"


def test_an_endless_model_name_is_cut() -> None:
    assert logged(a_record(model="m" * 1_000_000))["model"] == "m" * 199 + "…"


def fail(prompt: str) -> None:
    raise ValueError(f"cannot parse {prompt}")


def caught(function: Callable[[], None]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the subject of the test
        return error
    raise AssertionError("nothing was raised")


def test_a_bug_is_logged_with_place_and_class_but_without_what_it_quotes() -> None:
    error = caught(lambda: fail("my dearest secret wish"))
    line = logged(a_record(outcome="bug", status=500, exception=error))
    assert line["exception"][0] == "ValueError"
    assert line["exception"][-1].startswith(f"{__name__}:fail:")
    assert "dearest" not in str(line)


def test_level_debug_asks_for_the_message_too() -> None:
    error = caught(lambda: fail("my\nwish"))
    line = logged(a_record(outcome="bug", exception=error), "debug")
    assert line["exception"][0] == r"ValueError: cannot parse my\nwish"


def test_causes_and_members_of_groups_are_described() -> None:
    def both() -> None:
        try:
            fail("x")
        except ValueError as error:
            raise ExceptionGroup("two", [KeyError("a"), OSError("b")]) from error

    described = describe(caught(both), messages=False)
    named = [line for line in described if ":" not in line]
    assert named == [
        "ExceptionGroup",
        "because of ValueError",
        "holding KeyError",
        "holding OSError",
    ]


def test_an_exception_that_causes_itself_is_described_once() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert describe(first, messages=False) == ["ValueError", "because of KeyError"]


def test_a_deep_recursion_makes_a_short_description() -> None:
    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        fail("x")

    described = describe(caught(lambda: deeper(100)), messages=False)
    assert len(described) == 13
    assert described[-1].startswith(f"{__name__}:fail:")


def test_a_group_of_very_many_makes_a_bounded_description() -> None:
    group = ExceptionGroup("many", [ValueError(number) for number in range(1000)])
    assert len(describe(group, messages=False)) == 40


def test_the_current_exception_is_logged_by_any_line_that_asks() -> None:
    file = io.BytesIO()
    logger = a_log(file).logger
    try:
        fail("x")
    except ValueError:
        logger.exception("reload failed")
        logger.warning("again", exc_info=sys.exc_info())
    logger.warning("none", exc_info=True)  # noqa: LOG014 - that it does no harm is the point
    first, second, third = lines(file)
    assert (first["event"], first["level"]) == ("reload failed", "error")
    assert first["exception"][0] == second["exception"][0] == "ValueError"
    assert "exception" not in third


class BrokenFile(io.BytesIO):
    def write(self, _data: object, /) -> int:
        raise BrokenPipeError


def test_a_broken_log_file_fails_no_request_and_is_counted() -> None:
    log = a_log(BrokenFile())
    log.requests.write([a_record(outcome="ok")])
    log.requests.write([a_record(outcome="cut")])
    assert log.writer.lost_lines == 2


def test_a_closed_log_file_is_counted_too() -> None:
    file = io.BytesIO()
    log = a_log(file)
    file.close()
    log.requests.write([a_record(outcome="ok")])
    assert log.writer.lost_lines == 1


def test_the_console_shows_one_readable_line() -> None:
    file = io.BytesIO()
    log = make_log(file, rendering="console", wall_clock=lambda: NOON)
    log.requests.write([a_record(model="gpt\n5", outcome="ok", status=200)])
    [line] = file.getvalue().decode().splitlines()
    assert line.startswith("2027-01-15T12:00:00.250Z [info")
    assert r"gpt\n5" in line
    assert "status=200" in line


def test_the_console_lists_an_exception_below_the_line() -> None:
    file = io.BytesIO()
    log = make_log(file, rendering="console", wall_clock=lambda: NOON)
    log.requests.write([a_record(exception=caught(lambda: fail("x")))])
    first, *rest = file.getvalue().decode().splitlines()
    assert "request" in first
    assert rest[0] == "  ValueError"
    assert rest[-1].startswith(f"  {__name__}:fail:")


def test_lines_are_written_together_in_pieces_that_a_shared_pipe_keeps_whole() -> None:
    file = CountingFile()
    log = a_log(file)
    log.requests.write([a_record(request_id=f"req_{n}", outcome="ok") for n in range(100)])
    assert [line["request_id"] for line in lines(file)] == [f"req_{n}" for n in range(100)]
    assert file.most_bytes <= MOST_BYTES
    assert file.writes < 50


def test_a_line_that_no_pipe_keeps_whole_is_written_alone() -> None:
    file = CountingFile()
    writer = a_log(file).writer
    writer.write_all([b"short", b"x" * MOST_BYTES, b"short", b"shorter"])
    assert [len(line) for line in file.getvalue().split(b"\n")] == [5, MOST_BYTES, 5, 7, 0]
    assert file.writes == 3


def test_harmful_texts_change_nothing_about_the_order_of_lines() -> None:
    file = io.BytesIO()
    names = ["plain", "two\nlines", "plain", "sk-" + "a" * 40, "plain"]
    a_log(file).requests.write([a_record(model=name, outcome="ok") for name in names])
    told = [line["model"] for line in lines(file)]
    assert [name == "plain" for name in told] == [True, False, True, False, True]


def test_a_line_tells_when_its_request_ended_and_not_when_it_was_written() -> None:
    file = io.BytesIO()
    ended = {"started_at": NOON - 60, "duration_seconds": 2.5}
    for name in ("plain", "two\nlines"):
        a_log(file).requests.write([a_record(model=name, outcome="ok", **ended)])
    assert [line["time"] for line in lines(file)] == ["2027-01-15T11:59:02.750Z"] * 2


class CountingFile(io.BytesIO):
    """Counts what is written to it, and the bytes of the longest piece."""

    writes = 0
    most_bytes = 0

    def write(self, data: Any, /) -> int:
        self.writes += 1
        self.most_bytes = max(self.most_bytes, len(data))
        return super().write(data)


def test_into_a_file_goes_what_there_is_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        counting = CountedWrites(file)
        log = make_log(counting, wall_clock=lambda: NOON)
        log.requests.write([a_record(outcome="ok") for _ in range(100)])
    assert len((tmp_path / "log").read_bytes().splitlines()) == 100
    assert counting.writes == 1


class CountedWrites(io.BufferedWriter):
    """A file's writer that counts what it is given."""

    writes = 0

    def __init__(self, file: io.BufferedWriter) -> None:
        super().__init__(file.raw)

    def write(self, data: Any, /) -> int:
        self.writes += 1
        return super().write(data)
