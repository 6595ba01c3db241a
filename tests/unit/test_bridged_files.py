"""Which URLs each dialect wants the bytes of, and where those stand once they are there."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import Call, File, FilesWanted, Target
from adapters.registry import dialect_for
from tests.dialect_wire import TARGET, chat, messages

IMAGE, PAGES = "https://a.test/b.png", "https://a.test/c.pdf"
FILES = {IMAGE: File("image/png", "SU1BR0U="), PAGES: File("application/pdf", "UEFHRVM=")}
SHOWN = {"type": "image", "source": {"type": "url", "url": IMAGE}}
READ = {"type": "document", "source": {"type": "url", "url": PAGES}}
CALLED = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RETURNED = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [SHOWN]}


def target(model: str) -> Target:
    return msgspec.structs.replace(TARGET, upstream_model=model, served_model=model)


CLAUDE, OLD, NEW = (
    target("anthropic.claude-haiku-4-5-20251001-v1:0"),
    target("gemini-2.0-flash"),
    target("gemini-2.5-flash"),
)


def asking(*blocks: dict[str, Any]) -> Call:
    return messages(messages=[{"role": "user", "content": [*blocks]}])


def after_a_call() -> Call:
    said = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [CALLED]},
        {"role": "user", "content": [RETURNED]},
    ]
    return messages(messages=said)


@pytest.mark.parametrize(
    ("dialect", "told", "block", "url"),
    [
        ("bedrock", CLAUDE, SHOWN, IMAGE),
        ("bedrock", CLAUDE, READ, PAGES),
        ("gemini", OLD, SHOWN, IMAGE),
        ("vertex", OLD, READ, PAGES),
        ("openai", TARGET, READ, PAGES),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bytes_are_wanted_and_then_sent_in_place_of_the_url(
    dialect: str, told: Target, block: dict[str, Any], url: str
) -> None:
    spoken = dialect_for("messages", dialect)
    with pytest.raises(FilesWanted) as wanted:
        spoken.encode_request(asking(block, block), told)
    assert wanted.value.urls == [url]
    call = msgspec.structs.replace(asking(block), files=FILES)
    written = spoken.encode_request(call, told).body
    assert FILES[url].data.encode() in written
    assert url.encode() not in written


@pytest.mark.parametrize("dialect", ["bedrock", "gemini"])
def test_bytes_are_wanted_for_the_results_of_tools_too(dialect: str) -> None:
    spoken, told = dialect_for("messages", dialect), CLAUDE if dialect == "bedrock" else OLD
    with pytest.raises(FilesWanted):
        spoken.encode_request(after_a_call(), told)
    call = msgspec.structs.replace(after_a_call(), files=FILES)
    assert b"SU1BR0U=" in spoken.encode_request(call, told).body


@pytest.mark.parametrize(
    ("dialect", "told"), [("anthropic", CLAUDE), ("gemini", NEW), ("openai", TARGET)]
)
def test_who_opens_a_url_gets_it_even_where_its_bytes_are_there(dialect: str, told: Target) -> None:
    shown = {"type": "image_url", "image_url": {"url": IMAGE}}
    asked = chat(messages=[{"role": "user", "content": [shown]}])
    for call in (asked, msgspec.structs.replace(asked, files=FILES)):
        written = dialect_for("chat", dialect).encode_request(call, told).body
        assert json.dumps(IMAGE).encode() in written
        assert b"SU1BR0U=" not in written


@pytest.mark.parametrize(
    ("dialect", "url"), [("bedrock", "s3://bucket/b.png"), ("gemini", "gs://bucket/b.png")]
)
def test_a_providers_own_store_is_left_to_it(dialect: str, url: str) -> None:
    block = {"type": "image", "source": {"type": "url", "url": url}}
    told = CLAUDE if dialect == "bedrock" else OLD
    assert url.encode() in dialect_for("messages", dialect).encode_request(asking(block), told).body
