"""Cleaning of text from outside: secrets, length, and characters that do not belong in a line."""

import enum
from datetime import UTC, datetime

import pytest

from router.observe.clean import LONGEST_TEXT, clean_fields, clean_text
from router.observe.secret import redact

RANDOM = "q7Wm2ZxK9pLr4TnV8cYb3HgD6sJf1AeU"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"sk-syze-{RANDOM}", "sk-syze-…"),
        (f"glued-tosk-syze-{RANDOM}", "glued-tosk-syze-…"),
        (f"sk-proj-{RANDOM}", "sk-proj-…"),
        (f"model 'sk-{RANDOM}' not found", "model 'sk-…' not found"),
        (rf"line\nsk-{RANDOM}", r"line\nsk-…"),
        (f"SK-{RANDOM}", "SK-…"),
        (f"gsk_{RANDOM} and xai-{RANDOM}", "gsk_… and xai-…"),
        (f"authorization: Bearer {RANDOM}", "authorization: Bearer …"),
        (f"bearer   {RANDOM}.{RANDOM}", "bearer   …"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic …"),
        (f"x-api-key: {RANDOM}", "x-api-key: …"),
        (f'{{"api_key": "{RANDOM}"}}', '{"api_key": "…"}'),
        (rf"{{\"apikey\":\"{RANDOM}\"}}", r"{\"apikey\":\"…" + '"}'),
        (f"GET /v1?api-key={RANDOM}&v=1 200", "GET /v1?api-key=… 200"),
        ("password = 'hunter22'", "password = '…'"),
        (f"access_token={RANDOM}", "access_token=…"),
        (
            "postgresql://syze:hunter22@db.internal:5432/syze",
            "postgresql://syze:…@db.internal:5432/syze",
        ),
    ],
)
def test_a_secret_is_replaced_by_its_head(text: str, safe: str) -> None:
    assert redact(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "anthropic/claude-haiku-4-5-20251001",
        "risk-assessment-model-large-v2",
        "http://localhost:8080/v1/chat/completions",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "input_tokens=12 first_token_seconds=0.3",
        "no key was sent; use Authorization",
        "key_9fQ2",
    ],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == clean_text(text) == text


def test_a_long_text_is_cut_and_says_so() -> None:
    assert clean_text("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    assert clean_text("a" * (LONGEST_TEXT + 1)) == "a" * (LONGEST_TEXT - 1) + "…"


@pytest.mark.parametrize("head", ["sk-syze-", "Bearer ", "api_key=", "postgresql://syze:"])
@pytest.mark.parametrize("shown", [1, 3, 6])
def test_a_secret_that_the_cut_runs_through_is_hidden_too(head: str, shown: int) -> None:
    before = "." * (LONGEST_TEXT - 1 - len(head) - shown)
    assert clean_text(before + head + RANDOM).removeprefix(before) in {head + "……", "sk-……"}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("gpt\n{}", r"gpt\n{}"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("next\u2028line\u0085", r"next\u2028line\x85"),
        ("\u202eesrever", r"\u202eesrever"),
        ("lone \ud800", r"lone \ud800"),
        ("größer 模型 🚀", "größer 模型 🚀"),
    ],
)
def test_what_cannot_be_printed_is_written_out(text: str, safe: str) -> None:
    assert clean_text(text) == safe


def test_fields_become_plain_and_clean_at_every_depth() -> None:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    fields = {
        "number": 3,
        "nothing": None,
        "nested": {"list": [f"sk-syze-{RANDOM}", {"deep": "a\nb"}], 7: (1, 2.5)},
        "raw": b"a\xffb",
        "object": moment,
        f"sk-syze-{RANDOM}": True,
    }
    assert clean_fields(fields) == {
        "number": 3,
        "nothing": None,
        "nested": {"list": ["sk-syze-…", {"deep": r"a\nb"}], "7": [1, 2.5]},
        "raw": r"a\xffb",
        "object": repr(moment),
        "sk-syze-…": True,
    }


@pytest.mark.parametrize("name", ["authorization", "X-API-Key", "token", "Cookie", "password"])
@pytest.mark.parametrize("value", ["abc", 12345, ["abc"]])
def test_a_field_named_like_a_secret_is_hidden_whatever_it_holds(name: str, value: object) -> None:
    assert clean_fields({name: value, "status": 200}) == {name: "…", "status": 200}


class Colour(enum.StrEnum):
    RED = "red"


def test_a_subclass_of_str_is_text() -> None:
    assert clean_fields({"colour": Colour.RED}) == {"colour": "red"}
