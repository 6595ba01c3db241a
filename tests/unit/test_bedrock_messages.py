"""What is said in a conversation, as Converse's messages."""

from typing import Any

import pytest

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    Media,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from tests.unit.bedrock_wire import CLAUDE, LLAMA, NEWEST_CLAUDE, NOVA, sent
from tests.unit.gemini_wire import model, tool, user

DATA = "aGVsbG8="
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def messages(*turns: Any, name: str = CLAUDE) -> Any:
    return sent(Conversation(turns=turns, tools=(tool(),)), name)["messages"]


def content(*parts: Any, name: str = CLAUDE) -> Any:
    (message,) = messages(user(*parts), name=name)
    return message["content"]


def media(kind: Any, media_type: str | None = None, **fields: Any) -> Media:
    given = {} if {"url", "file_id"} & set(fields) else {"data": DATA}
    return Media(kind=kind, media_type=media_type, **{**given, **fields})


def test_neighbours_of_one_role_become_one_message() -> None:
    said = messages(user("a"), user("b"), model("c"), model("d"), user("e"))
    assert [(each["role"], [block["text"] for block in each["content"]]) for each in said] == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
        ("user", ["e"]),
    ]


@pytest.mark.parametrize("turns", [(model("b"),), (user(" "), model("b")), ()])
def test_the_user_speaks_first(turns: Any) -> None:
    said = messages(*turns)
    assert said[0] == {"role": "user", "content": [{"text": "…"}]}


def test_blank_text_and_empty_messages_are_left_out() -> None:
    said = messages(user("a", "", " \n"), model(""), user("b"))
    assert said == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]


def test_an_answer_to_be_gone_on_with_ends_without_space() -> None:
    said = messages(user("a"), model(Text(text="It is ")))
    assert said[-1]["content"] == [{"text": "It is"}]


def test_a_claude_that_takes_no_beginning_is_asked_to_go_on() -> None:
    said = messages(user("a"), model(Text(text="It is ")), name=NEWEST_CLAUDE)
    assert said[1]["content"] == [{"text": "It is "}]
    assert said[2]["role"] == "user"
    assert "Go on" in said[2]["content"][0]["text"]


def test_results_of_tools_go_first_and_all_in_one_message() -> None:
    calls = [ToolCall(id=f"c{n}", name="add", arguments=f'{{"a":{n}}}') for n in (1, 2)]
    said = messages(
        user("Add"),
        model("Well.", *calls),
        user("By the way", ToolResult(call_id="c1", name="add", parts=(Text(text="1"),))),
        user(ToolResult(call_id="c2", name="add", parts=(Text(text="no"),), is_error=True)),
    )
    assert said[1]["content"] == [
        {"text": "Well."},
        {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "add", "input": {"a": 2}}},
    ]
    failed = {"toolUseId": "c2", "content": [{"text": "no"}], "status": "error"}
    assert said[2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "1"}]}},
        {"toolResult": failed},
        {"text": "By the way"},
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a":', {"malformed_arguments": '{"a":'}),
        ("[1]", {"malformed_arguments": "[1]"}),
    ],
)
def test_a_calls_input_is_always_an_object(arguments: str, found: Any) -> None:
    said = messages(user("a"), model(ToolCall(id="c", name="add", arguments=arguments)))
    assert said[1]["content"][0]["toolUse"]["input"] == found


@pytest.mark.parametrize("call_id", ["", "call:1|fc", "x" * 65, "ä", "functions.add:0"])
def test_a_foreign_id_becomes_one_that_bedrock_takes(call_id: str) -> None:
    result = ToolResult(call_id=call_id, name="add", parts=(Text(text="1"),))
    said = messages(user("a"), model(ToolCall(id=call_id, name="add")), user(result))
    sent_id = said[1]["content"][0]["toolUse"]["toolUseId"]
    assert said[2]["content"][0]["toolResult"]["toolUseId"] == sent_id
    assert 0 < len(sent_id) <= 64
    assert sent_id.replace("_", "").replace("-", "").isalnum()
    assert sent_id.isascii()


def test_different_foreign_ids_stay_different() -> None:
    ids = ["x" * 64 + "1", "x" * 64 + "2", "a:b", "a|b", "a_b"]
    said = messages(user("a"), model(*(ToolCall(id=each, name="add") for each in ids)))
    assert len({block["toolUse"]["toolUseId"] for block in said[1]["content"]}) == len(ids)


def test_a_result_may_hold_images_and_documents_and_may_be_empty() -> None:
    picture = media("image", "image/png")
    paper = media("file", "application/pdf", name="a.pdf")
    full = ToolResult(call_id="c1", name="add", parts=(Text(text="x"), picture, paper))
    said = content(full, ToolResult(call_id="c2", name="add"))
    assert said[0]["toolResult"]["content"] == [
        {"text": "x"},
        {"image": {"format": "png", "source": {"bytes": DATA}}},
        {"document": {"format": "pdf", "source": {"bytes": DATA}, "name": "a"}},
    ]
    assert said[1]["toolResult"]["content"] == []


def test_a_marked_result_is_followed_by_its_mark() -> None:
    marked = ToolResult(call_id="c1", name="add", parts=(Text(text="x"),), cache=CacheMark())
    assert content(marked)[1] == {"cachePoint": {"type": "default"}}
    assert len(content(marked, name=LLAMA)) == 1


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (media("image", "image/jpeg"), ("image", "jpeg")),
        (media("image", "image/jpg"), ("image", "jpeg")),
        (media("image", "image/gif"), ("image", "gif")),
        (media("image", "image/webp"), ("image", "webp")),
        (media("file", "image/png"), ("image", "png")),
        (media("audio", "audio/wav"), ("audio", "wav")),
        (media("audio", "audio/mpeg"), ("audio", "mp3")),
        (media("file", "audio/ogg"), ("audio", "ogg")),
        (media("file", "video/mp4"), ("video", "mp4")),
        (media("file", "video/quicktime"), ("video", "mov")),
        (media("file", "video/3gpp"), ("video", "three_gp")),
        (media("file", "application/pdf"), ("document", "pdf")),
        (media("file", DOCX), ("document", "docx")),
        (media("file", "text/csv"), ("document", "csv")),
        (media("file", "text/markdown"), ("document", "md")),
        (media("file", "text/plain; charset=utf-8"), ("document", "txt")),
        (media("file", "text/x-python", name="a.py"), ("document", "txt")),
        (media("file", "application/octet-stream", name="a.XLSX"), ("document", "xlsx")),
    ],
)
def test_media_are_blocks_with_a_format(part: Media, block: tuple[str, str]) -> None:
    kind, form = block
    found = content("Look", part)[1][kind]
    assert (found["format"], found["source"]) == (form, {"bytes": DATA})


@pytest.mark.parametrize(
    ("part", "kind", "form"),
    [
        (media("image", url="s3://shelf/a/b.png"), "image", "png"),
        (media("image", "image/webp", url="s3://shelf/a/b"), "image", "webp"),
        (media("file", file_id="s3://shelf/report.pdf", name="report.pdf"), "document", "pdf"),
    ],
)
def test_media_may_lie_in_a_bucket(part: Media, kind: str, form: str) -> None:
    found = content("Look", part)[1][kind]
    assert found["format"] == form
    assert found["source"] == {"s3Location": {"uri": part.url or part.file_id}}


@pytest.mark.parametrize(
    "part",
    [
        media("image", url="https://example.com/a.png"),
        media("image", "image/tiff"),
        media("image", file_id="file-1"),
        media("file", "application/zip", name="a.zip"),
        media("file", url="http://169.254.169.254/a.pdf"),
        media("audio", "audio/x-unknown"),
        ToolResult(call_id="c", name="add", parts=(media("audio", "audio/wav"),)),
    ],
)
def test_media_that_bedrock_cannot_get_at_are_refused(part: Any) -> None:
    with pytest.raises(BadCall) as caught:
        content("Look", part)
    assert caught.value.param == "messages"


def test_documents_have_plain_names_and_no_two_the_same() -> None:
    names = ["a.pdf", "a.pdf", "My_report: final!.pdf", None, "…", "x" * 300]
    papers = [media("file", "application/pdf", name=name) for name in names]
    found = [block["document"]["name"] for block in content("Read", *papers)[1:]]
    assert found[:5] == ["a", "a (2)", "My report final", "document", "document (2)"]
    assert found[5] == "x" * 190


def test_a_message_with_a_document_has_text_too() -> None:
    paper = media("file", "application/pdf")
    assert content(paper)[-1] == {"text": "…"}
    assert len(content(paper, "Read")) == 2


@pytest.mark.parametrize(
    ("thought", "block"),
    [
        (Reasoning(text="Hm", signature="bedrock:s"), {"reasoningText": {"text": "Hm", "signature": "s"}}),
        (Reasoning(text="Hm", signature="s"), {"reasoningText": {"text": "Hm", "signature": "s"}}),
        (Reasoning(redacted="bedrock:eHg="), {"redactedContent": "eHg="}),
        (Reasoning(redacted="eHg="), None),
        (Reasoning(text="Hm"), None),
        (Reasoning(text="Hm", signature="gemini:s"), None),
    ],
)  # fmt: skip
def test_a_claude_gets_its_own_thoughts_back_and_nobody_elses(
    thought: Reasoning, block: Any
) -> None:
    said = messages(user("a"), model(thought, "b"), user("c"))[1]["content"]
    assert said == [*([] if block is None else [{"reasoningContent": block}]), {"text": "b"}]
    other = messages(user("a"), model(thought, "b"), user("c"), name=NOVA)[1]["content"]
    assert other == [{"text": "b"}]


def test_a_refusal_is_what_was_said() -> None:
    assert messages(user("a"), model(Refusal(text="No.")))[1]["content"] == [{"text": "No."}]
