"""The turns of a conversation as Gemini takes them."""

from typing import Any

import pytest

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.unit.gemini_wire import NEWEST, SECOND, conversation, model, sent, user

SKIPPED = "skip_thought_signature_validator"


def contents(*turns: Turn, name: str = NEWEST) -> Any:
    return sent(conversation(*turns), name)["contents"]


def result(call_id: str, text: str = "3", **fields: Any) -> ToolResult:
    return ToolResult(call_id=call_id, name="add", parts=(Text(text=text),), **fields)


def called(call_id: str, name: str = "add", **fields: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, **fields)


def test_roles_are_geminis_and_neighbours_are_merged() -> None:
    found = contents(user("a"), user("b"), model("c"), model("d"), user("e"))
    assert [(turn["role"], [part["text"] for part in turn["parts"]]) for turn in found] == [
        ("user", ["a", "b"]),
        ("model", ["c", "d"]),
        ("user", ["e"]),
    ]


@pytest.mark.parametrize(
    "silent",
    [
        model(""),
        model(),
        model(Reasoning(text="unsigned")),
        model(Reasoning(text="x", signature="an-anthropic-one")),
    ],
)
def test_a_turn_that_says_nothing_is_left_out(silent: Turn) -> None:
    assert contents(user("a"), silent, user("b")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    ]


def test_results_follow_their_calls_by_name_and_in_order_before_any_text() -> None:
    found = contents(
        user("go"),
        model("Sure.", called("1", "add", arguments='{"a":1}'), called("2", "sub")),
        user("and now?"),
        user(result("2", "two"), result("1", "one")),
        name=SECOND,
    )
    assert found[1]["parts"] == [
        {"text": "Sure."},
        {"functionCall": {"name": "add", "args": {"a": 1}}},
        {"functionCall": {"name": "sub", "args": {}}},
    ]
    assert found[2]["parts"] == [
        {"functionResponse": {"name": "add", "response": {"output": "one"}}},
        {"functionResponse": {"name": "sub", "response": {"output": "two"}}},
        {"text": "and now?"},
    ]


def test_newer_models_get_the_ids_of_calls_and_results() -> None:
    found = contents(user("go"), model(called("c-9")), user(result("c-9")))
    assert found[1]["parts"][0]["functionCall"]["id"] == "c-9"
    assert found[2]["parts"][0]["functionResponse"]["id"] == "c-9"


def test_ids_that_repeat_from_turn_to_turn_do_no_harm() -> None:
    step = (model(called("call_0")), user(result("call_0", "x")))
    found = contents(user("go"), *step, *step, name=SECOND)
    assert len(found) == 5


def test_a_failed_call_says_error() -> None:
    found = contents(user("go"), model(called("1")), user(result("1", "boom", is_error=True)))
    assert found[2]["parts"][0]["functionResponse"]["response"] == {"error": "boom"}


def test_a_result_that_looks_like_json_stays_the_text_it_is() -> None:
    long = '{"id": 12345678901234567890}'
    found = contents(user("go"), model(called("1")), user(result("1", long)))
    assert found[2]["parts"][0]["functionResponse"]["response"] == {"output": long}


@pytest.mark.parametrize(
    ("name", "inside"), [(NEWEST, True), (SECOND, False)], ids=["newest", "second"]
)
def test_an_image_in_a_result_goes_with_it_or_behind_it(name: str, inside: bool) -> None:
    image = Media(kind="image", data="QUJD", media_type="image/png")
    shown = ToolResult(call_id="1", name="add", parts=(Text(text="see"), image))
    parts = contents(user("go"), model(called("1")), user(shown), name=name)[2]["parts"]
    part = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    assert parts[0]["functionResponse"].get("parts") == ([part] if inside else None)
    assert parts[1:] == ([] if inside else [part])


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": [1]}', {"a": [1]}),
        ('{"a', {"malformed_arguments": '{"a'}),
        ("[1]", {"malformed_arguments": "[1]"}),
    ],
)
def test_arguments_are_always_an_object(arguments: str, args: dict[str, Any]) -> None:
    found = contents(user("go"), model(called("1", arguments=arguments)))
    assert found[1]["parts"][0]["functionCall"]["args"] == args


@pytest.mark.parametrize(
    "turns",
    [
        (user("go"), model(called("1"), called("2")), user(result("1"))),
        (user("go"), model(called("1")), user("never mind")),
        (user("go"), model(called("1")), user(result("1"), result("2"))),
        (user("go"), model("ok"), user(result("1"))),
        (user(result("1")),),
        (user("go"), model(result("1"))),
        (user(called("1")),),
    ],
)
def test_calls_and_results_that_do_not_match_are_refused(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(BadCall) as refused:
        contents(*turns)
    assert refused.value.param == "messages"


def test_geminis_signature_goes_back_where_it_came_from() -> None:
    signed = (
        Reasoning(text="hm", signature="gemini:s0"),
        Text(text="Look:"),
        Reasoning(signature="gemini:s1"),
        called("1", signature="gemini:s2"),
        called("2"),
    )
    parts = contents(user("go"), model(*signed))[1]["parts"]
    assert parts[:3] == [
        {"text": "hm", "thought": True, "thoughtSignature": "s0"},
        {"text": "Look:"},
        {"text": "", "thoughtSignature": "s1"},
    ]
    assert [part.get("thoughtSignature") for part in parts[3:]] == ["s2", None]


@pytest.mark.parametrize("signature", [None, "claude-signature", "other:x"])
@pytest.mark.parametrize(("name", "expected"), [(NEWEST, SKIPPED), (SECOND, None)])
def test_calls_of_another_model_are_marked_as_not_to_be_checked(
    signature: str | None, name: str, expected: str | None
) -> None:
    calls = (called("1", signature=signature), called("2", signature=signature))
    parts = contents(user("go"), model(*calls), name=name)[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [expected, None]


def test_a_refusal_is_said_as_text() -> None:
    assert contents(user("a"), model(Refusal(text="No.")))[1]["parts"] == [{"text": "No."}]


FILES = "https://generativelanguage.googleapis.com/v1beta/files/abc"


def inline(mime_type: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": "QUJD"}}


def file(mime_type: str, uri: str) -> dict[str, Any]:
    return {"fileData": {"mimeType": mime_type, "fileUri": uri}}


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (Media(kind="image", data="QUJD", media_type="image/png"), inline("image/png")),
        (Media(kind="audio", data="QUJD", media_type="audio/wav"), inline("audio/wav")),
        (Media(kind="file", data="QUJD", name="a.csv"), inline("text/csv")),
        (Media(kind="file", data="QUJD"), inline("application/pdf")),
        (
            Media(kind="image", url="https://a.b/c.PNG?d=e.gif", detail="low"),
            file("image/png", "https://a.b/c.PNG?d=e.gif"),
        ),
        (Media(kind="image", url="https://a.b/c"), file("image/jpeg", "https://a.b/c")),
        (Media(kind="file", url="gs://b/v.mp4"), file("video/mp4", "gs://b/v.mp4")),
        (
            Media(kind="file", file_id="files/abc", media_type="text/plain"),
            file("text/plain", FILES),
        ),
        (Media(kind="file", file_id=FILES), file("application/pdf", FILES)),
    ],
)
def test_media_are_bytes_or_an_address(media: Media, expected: dict[str, Any]) -> None:
    assert contents(user("See:", media))[0]["parts"] == [{"text": "See:"}, expected]


@pytest.mark.parametrize(
    ("media", "name"),
    [
        (Media(kind="file", file_id="file-of-openai"), NEWEST),
        (Media(kind="image", url="https://a.b/c.png"), "gemini-2.0-flash"),
    ],
)
def test_media_that_gemini_cannot_reach_are_refused(media: Part, name: str) -> None:
    with pytest.raises(BadCall):
        contents(user(media), name=name)
