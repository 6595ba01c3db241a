"""Anthropic as an upstream: what is said to it, row by row of what breaks when it is said otherwise."""

import base64
import json
from typing import Any

import msgspec
import pytest

from adapters.anthropic.model import traits_of
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.dialect import BadCall
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Media,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.dialect_wire import body_of, target

HI = Turn("user", (Text(text="Hi"),))
LOOK = Tool(name="look", description="d")
PERSON = msgspec.Raw(
    b'{"type":"object","properties":{"age":{"type":"integer","minimum":0}},"required":["age"]}'
)
FORM = OutputFormat(kind="json_schema", schema=PERSON)
OLDER, NEWER, NEWEST = "claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5-5"


def said(*turns: Turn, model: str = OLDER, stream: bool = False, **fields: Any) -> dict[str, Any]:
    conversation = Conversation(turns=turns or (HI,), **fields)
    return body_of(AnthropicUpstream().encode(conversation, target(model), stream=stream))


def messages(*turns: Turn) -> list[dict[str, Any]]:
    found = said(*turns)["messages"]
    assert isinstance(found, list)
    return found


def user(*parts: Part) -> Turn:
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


# --- messages ---------------------------------------------------------------------------------------


def test_a_plain_request_says_no_more_than_it_must() -> None:
    assert said() == {
        "model": OLDER,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [text("Hi")]}],
    }


def test_the_systems_words_keep_their_order_and_their_marks() -> None:
    system = (Text(text="a"), Text(text=" "), Text(text="b", cache=CacheMark("1h")))
    assert said(system=system)["system"] == [
        text("a"),
        {**text("b"), "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]


def test_neighbours_become_one_message() -> None:
    found = messages(
        HI, user(Text(text="there")), assistant(Text(text="a")), assistant(Text(text="b")), HI
    )
    assert [(one["role"], len(one["content"])) for one in found] == [
        ("user", 2),
        ("assistant", 2),
        ("user", 1),
    ]


def test_the_first_message_is_the_users() -> None:
    assert [one["role"] for one in messages(assistant(Text(text="a")), HI)] == [
        "user",
        "assistant",
        "user",
    ]


def test_results_of_all_calls_of_a_turn_go_before_other_words_in_one_message() -> None:
    found = messages(
        HI,
        assistant(ToolCall(id="c1", name="look"), ToolCall(id="c2", name="wait")),
        user(ToolResult(call_id="c1", name="look", parts=(Text(text="seen"),))),
        user(Text(text="and?")),
        user(ToolResult(call_id="c2", name="wait", is_error=True)),
    )
    assert found[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [text("seen")]},
            {"type": "tool_result", "tool_use_id": "c2", "is_error": True},
            text("and?"),
        ],
    }


def test_empty_text_is_left_out_and_so_are_messages_without_any() -> None:
    found = messages(
        HI, assistant(Text(text=""), ToolCall(id="c1", name="look")), user(Text(text="\n")), HI
    )
    assert [one["role"] for one in found] == ["user", "assistant", "user"]
    assert found[1]["content"] == [{"type": "tool_use", "id": "c1", "name": "look", "input": {}}]


def test_arguments_are_an_object_in_their_own_bytes() -> None:
    call = ToolCall(id="c1", name="look", arguments='{"a": 1.50}')
    conversation = Conversation(turns=(HI, assistant(call)))
    encoded = AnthropicUpstream().encode(conversation, target(OLDER), stream=False)
    assert b'"input":{"a": 1.50}' in encoded.body


def test_ids_of_other_providers_are_made_fit_and_still_match() -> None:
    strange = ("functions.look:0", "functions:look.0")
    found = messages(
        HI,
        assistant(*(ToolCall(id=one, name="look") for one in strange)),
        user(*(ToolResult(call_id=one, name="look") for one in strange)),
    )
    ids = [block["id"] for block in found[1]["content"]]
    assert ids == [block["tool_use_id"] for block in found[2]["content"]]
    assert len(set(ids)) == 2
    assert all(one.replace("_", "").replace("-", "").isalnum() for one in ids)


def test_thoughts_go_back_unchanged_if_anthropic_signed_them_and_else_not_at_all() -> None:
    found = messages(
        HI,
        assistant(
            Reasoning(text="hm", signature="c2ln"),
            Reasoning(redacted="c2VjcmV0"),
            Reasoning(text="another's", signature="gemini:c2ln"),
            Reasoning(redacted="gemini:x"),
            Reasoning(text="nobody's"),
            Text(text="a"),
            Refusal(text="No."),
        ),
        HI,
    )
    assert found[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        text("a"),
        text("No."),
    ]


def test_an_answer_to_be_gone_on_with_has_no_space_at_its_end() -> None:
    assert messages(HI, assistant(Text(text="The answer is ")))[1]["content"] == [
        text("The answer is")
    ]


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-5-5"])
def test_newer_models_are_asked_to_go_on_as_they_take_no_beginning(model: str) -> None:
    found = said(HI, assistant(Text(text="The answer is ")), model=model)["messages"]
    assert found[1] == {"role": "assistant", "content": [text("The answer is ")]}
    assert found[2]["role"] == "user"
    assert "Go on" in found[2]["content"][0]["text"]


def test_nothing_is_added_where_the_user_speaks_last() -> None:
    assert len(said(HI, model="claude-opus-4-6")["messages"]) == 1


MEDIA: dict[str, tuple[Media, dict[str, Any]]] = {
    "an image's bytes": (
        Media(kind="image", data="AAAA", media_type="image/png"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ),
    "an image of a common misspelling": (
        Media(kind="image", data="AAAA", media_type="image/jpg"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
    ),
    "an image's address": (
        Media(kind="image", url="https://h/i", cache=CacheMark()),
        {
            "type": "image",
            "source": {"type": "url", "url": "https://h/i"},
            "cache_control": {"type": "ephemeral"},
        },
    ),
    "a document": (
        Media(kind="file", data="AAAA", media_type="application/pdf", name="a.pdf"),
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            "title": "a.pdf",
        },
    ),
    "a document's address": (
        Media(kind="file", url="https://h/a.pdf"),
        {"type": "document", "source": {"type": "url", "url": "https://h/a.pdf"}},
    ),
    "a document of text": (
        Media(kind="file", data=base64.b64encode("é".encode()).decode(), media_type="text/plain"),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
    ),
}


@pytest.mark.parametrize(("media", "block"), MEDIA.values(), ids=MEDIA.keys())
def test_images_and_documents_are_said(media: Media, block: dict[str, Any]) -> None:
    assert messages(user(media))[0]["content"] == [block]
    inside = ToolResult(call_id="c1", name="look", parts=(media,))
    assert messages(user(inside))[0]["content"][0]["content"] == [block]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", data="AAAA", media_type="audio/wav"),
        Media(kind="image", data="AAAA", media_type="image/tiff"),
        Media(kind="image", file_id="file-1"),
        Media(kind="file", file_id="file-1"),
        Media(kind="file", data="AAAA", media_type="application/zip"),
        Media(kind="file", data="no base64", media_type="text/plain"),
    ],
)
def test_what_it_cannot_see_or_hear_is_refused(media: Media) -> None:
    with pytest.raises(BadCall) as caught:
        messages(user(media))
    assert caught.value.param == "messages"


# --- tools ------------------------------------------------------------------------------------------


def test_tools_have_the_schema_of_an_object_with_all_its_parts() -> None:
    schema = msgspec.Raw(b'{"type":"object","$defs":{"a":{"b":[1.50]}}}')
    conversation = Conversation(
        turns=(HI,), tools=(Tool(name="look", parameters=schema, strict=True, cache=CacheMark()),)
    )
    encoded = AnthropicUpstream().encode(conversation, target(OLDER), stream=False)
    assert b'"input_schema":' + bytes(schema) in encoded.body
    assert json.loads(encoded.body)["tools"][0]["cache_control"] == {"type": "ephemeral"}


CHOICES: dict[str, tuple[ToolChoice | None, bool | None, dict[str, Any] | None]] = {
    "unsaid": (None, None, None),
    "parallel": (None, True, None),
    "one at a time": (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
    "auto": (ToolChoice("auto"), None, {"type": "auto"}),
    "none": (ToolChoice("none"), False, {"type": "none"}),
    "required": (ToolChoice("required"), None, {"type": "any"}),
    "named": (
        ToolChoice("named", "look"),
        False,
        {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    ),
}


@pytest.mark.parametrize(("choice", "parallel", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_every_choice_of_tools_is_said(
    choice: ToolChoice | None, parallel: bool | None, expected: dict[str, Any] | None
) -> None:
    found = said(tools=(LOOK,), tool_choice=choice, parallel_calls=parallel)
    assert found.get("tool_choice") == expected


@pytest.mark.parametrize(
    ("choice", "words"),
    [(ToolChoice("required"), "one of the tools"), (ToolChoice("named", "look"), "'look'")],
)
def test_models_that_refuse_a_forced_tool_are_asked_in_words(
    choice: ToolChoice, words: str
) -> None:
    found = said(model=NEWEST, tools=(LOOK,), tool_choice=choice, system=(Text(text="Be kind."),))
    assert found["tool_choice"] == {"type": "auto"}
    assert found["system"][0] == text("Be kind.")
    assert words in found["system"][1]["text"]


# --- caps, sampling, the rest -----------------------------------------------------------------------

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a cap": ({"most_tokens": 5}, {"max_tokens": 5}),
    "a temperature above its highest": ({"temperature": 1.7}, {"temperature": 1.0}),
    "a temperature within": ({"temperature": 0.3}, {"temperature": 0.3}),
    "one of two samplers": ({"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}),
    "the other sampler": ({"top_p": 0.5, "top_k": 4}, {"top_p": 0.5, "top_k": 4}),
    "stops": ({"stop": ("END", "a ")}, {"stop_sequences": ["END", "a "]}),
    "who asks": ({"user": "u"}, {"metadata": {"user_id": "u"}}),
    "no priority": ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    "a tier of others": ({"service_tier": "flex"}, {}),
    "what only guides": (
        {
            "seed": 7,
            "frequency_penalty": 1.0,
            "presence_penalty": 1.0,
            "extra": {"logit_bias": msgspec.Raw(b"{}")},
        },
        {},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_every_wish_is_said_or_dropped(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = said(**fields)
    plain = said()
    assert {name: found[name] for name in found if found[name] != plain.get(name)} == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"choices": 2}, "n"), ({"logprobs": 0}, "logprobs"), ({"stop": ("a", "\n")}, "stop")],
)
def test_what_would_be_another_answer_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadCall) as caught:
        said(**fields)
    assert caught.value.param == param


def test_newer_models_are_not_told_how_to_sample() -> None:
    found = said(model=NEWER, temperature=0.3, top_p=0.5, top_k=4)
    assert not {"temperature", "top_p", "top_k"} & found.keys()


def test_older_models_take_both_samplers() -> None:
    found = said(model="claude-3-7-sonnet-20250219", temperature=0.3, top_p=0.5)
    assert (found["temperature"], found["top_p"], found["max_tokens"]) == (0.3, 0.5, 8192)


# --- thinking ---------------------------------------------------------------------------------------


def thinking(model: str, wish: Thinking | None, **fields: Any) -> tuple[Any, Any]:
    found = said(model=model, thinking=wish, **fields)
    return found.get("thinking"), found.get("output_config", {}).get("effort")


ADAPTIVE = {"type": "adaptive"}
THINKING: dict[str, tuple[str, Thinking | None, Any, Effort | None]] = {
    "nothing said": (NEWEST, None, None, None),
    "an effort is a budget": (
        OLDER,
        Thinking(effort="high"),
        {"type": "enabled", "budget_tokens": 16_384},
        None,
    ),
    "the least budget": (
        OLDER,
        Thinking(budget_tokens=5),
        {"type": "enabled", "budget_tokens": 1024},
        None,
    ),
    "an effort is an effort": (NEWER, Thinking(effort="xhigh"), ADAPTIVE, "xhigh"),
    "an effort of an older scale": ("claude-opus-4-6", Thinking(effort="xhigh"), ADAPTIVE, "high"),
    "the deepest of an older scale": ("claude-opus-4-6", Thinking(effort="max"), ADAPTIVE, "max"),
    "a little effort": (NEWER, Thinking(effort="minimal"), ADAPTIVE, "low"),
    "a budget where both are taken": (
        "claude-sonnet-4-6",
        Thinking(budget_tokens=3000),
        {"type": "enabled", "budget_tokens": 3000},
        None,
    ),
    "a budget where only efforts are": (NEWER, Thinking(budget_tokens=3000), ADAPTIVE, "medium"),
    "a huge budget": (NEWER, Thinking(budget_tokens=100_000), ADAPTIVE, "max"),
    "as it likes": (NEWER, Thinking(), ADAPTIVE, None),
    "to be read": (
        NEWER,
        Thinking(summary="auto"),
        {"type": "adaptive", "display": "summarized"},
        None,
    ),
    "not to be read": (
        NEWER,
        Thinking(summary="omitted"),
        {"type": "adaptive", "display": "omitted"},
        None,
    ),
    "none, where it is off": (OLDER, Thinking(effort="none"), None, None),
    "none, where it is on": ("claude-opus-5", Thinking(effort="none"), {"type": "disabled"}, None),
    "none, where that has another name": (
        "claude-sonnet-5-5",
        Thinking(effort="none"),
        {"type": "between_tools"},
        None,
    ),
    "none, where that cannot be": (NEWEST, Thinking(effort="none"), None, "low"),
    "a model that does not think": (
        "claude-3-5-haiku-20241022",
        Thinking(effort="high"),
        None,
        None,
    ),
}


@pytest.mark.parametrize(
    ("model", "wish", "config", "effort"), THINKING.values(), ids=THINKING.keys()
)
def test_thinking_is_said_as_each_model_takes_it(
    model: str, wish: Thinking | None, config: Any, effort: Effort | None
) -> None:
    assert thinking(model, wish) == (config, effort)


@pytest.mark.parametrize(
    ("cap", "budget"), [(32_000, 16_384), (5000, 4000), (1280, 1024), (1279, None)]
)
def test_a_budget_never_exceeds_what_the_caller_asked_and_can_pay_for(
    cap: int, budget: int | None
) -> None:
    found = said(thinking=Thinking(effort="high"), most_tokens=cap, temperature=0.5)
    assert found["max_tokens"] == cap
    assert found.get("thinking", {}).get("budget_tokens") == budget
    assert ("temperature" in found) == (budget is None)


def test_while_thinking_it_is_hardly_sampled() -> None:
    found = said(thinking=Thinking(effort="low"), temperature=0.5, top_p=0.99, top_k=3)
    assert found["top_p"] == 0.99
    assert not {"temperature", "top_k"} & found.keys()


def test_a_forced_tool_is_stronger_than_thinking() -> None:
    wish = {"tools": (LOOK,), "tool_choice": ToolChoice("required")}
    assert thinking(OLDER, Thinking(effort="high"), **wish) == (None, None)
    assert thinking(NEWER, Thinking(effort="high"), **wish) == (None, None)
    assert thinking("claude-opus-5", None, **wish) == ({"type": "disabled"}, None)


@pytest.mark.parametrize(
    ("thought", "config"),
    [
        (Reasoning(text="hm", signature="c2ln"), {"type": "enabled", "budget_tokens": 2048}),
        (Reasoning(redacted="x"), {"type": "enabled", "budget_tokens": 2048}),
        (Reasoning(text="hm", signature="gemini:c2ln"), None),
        (Reasoning(text="hm"), None),
    ],
)
def test_calls_that_lost_their_thoughts_are_gone_on_with_without_thinking(
    thought: Reasoning, config: Any
) -> None:
    turns = (
        HI,
        assistant(thought, ToolCall(id="c1", name="look")),
        user(ToolResult(call_id="c1", name="look")),
    )
    found = said(*turns, thinking=Thinking(effort="low"))
    assert found.get("thinking") == config


# --- an answer in a form ----------------------------------------------------------------------------

CLOSED = {
    "type": "object",
    "properties": {"age": {"type": "integer", "description": "(minimum: 0)"}},
    "required": ["age"],
    "additionalProperties": False,
}


def test_a_form_is_said_natively_where_the_model_can() -> None:
    found = said(format=FORM, tools=(LOOK,), thinking=Thinking(effort="low"))
    assert found["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    assert found["thinking"]["type"] == "enabled"
    assert [tool["name"] for tool in found["tools"]] == ["look"]


def test_a_form_is_a_forced_tool_for_older_models() -> None:
    found = said(format=FORM, model="claude-sonnet-4-20250514", thinking=Thinking(effort="low"))
    (tool,) = found["tools"]
    assert tool["input_schema"] == json.loads(bytes(PERSON))
    assert found["tool_choice"] == {"type": "tool", "name": tool["name"]}
    assert "output_config" not in found
    assert "thinking" not in found


def test_beside_tools_of_the_client_any_of_all_is_forced() -> None:
    taken = (LOOK, Tool(name="give_answer"))
    found = said(format=FORM, model="claude-sonnet-4-20250514", tools=taken)
    assert [tool["name"] for tool in found["tools"]] == ["look", "give_answer", "give_answer_"]
    assert found["tool_choice"] == {"type": "any"}


def test_a_client_that_forces_its_own_tool_gets_its_call() -> None:
    choice = ToolChoice("named", "look")
    found = said(format=FORM, tools=(LOOK,), tool_choice=choice)
    assert found["tool_choice"] == {"type": "tool", "name": "look"}
    assert "output_config" not in found


OPEN_SCHEMA = msgspec.Raw(b'{"type":"object","additionalProperties":{"type":"string"}}')
LIST_SCHEMA = msgspec.Raw(b'{"type":"array","items":{"type":"object","additionalProperties":true}}')


@pytest.mark.parametrize(
    ("form", "model"),
    [
        (OutputFormat(kind="json_object"), OLDER),
        (OutputFormat(kind="json_schema", schema=OPEN_SCHEMA), NEWEST),
        (OutputFormat(kind="json_schema", schema=LIST_SCHEMA), OLDER),
    ],
)
def test_a_form_that_has_no_other_way_is_asked_for_in_words(form: OutputFormat, model: str) -> None:
    found = said(format=form, model=model)
    (words,) = found["system"]
    assert "JSON" in words["text"]
    assert form.schema is None or bytes(form.schema).decode() in words["text"]
    assert not {"output_config", "tools"} & found.keys()


# --- what is known of models ------------------------------------------------------------------------

MODELS: dict[str, tuple[str, bool, bool, int]] = {
    "claude-3-opus-20240229": ("no", True, True, 4096),
    "claude-3-5-sonnet-20241022": ("no", True, True, 8192),
    "anthropic.claude-3-7-sonnet-20250219-v1:0": ("budget", True, True, 8192),
    "claude-opus-4-20250514": ("budget", True, True, 32_000),
    "claude-haiku-4-5@20251001": ("budget", True, True, 32_000),
    "us.anthropic.claude-opus-4-6-v1:0": ("either", True, True, 32_000),
    "anthropic/claude-4.7-opus": ("adaptive", False, True, 32_000),
    "claude-opus-5": ("adaptive", False, True, 32_000),
    "claude-haiku-5-5": ("adaptive", False, True, 32_000),
    "claude-sonnet-5.5": ("adaptive", False, False, 32_000),
    "claude-fable-5": ("adaptive", False, False, 32_000),
    "claude-mythos-preview": ("adaptive", False, False, 32_000),
    "claude-next": ("adaptive", False, False, 32_000),
    "minimax-m2": ("budget", True, True, 8192),
}


@pytest.mark.parametrize(("model", "expected"), MODELS.items(), ids=MODELS.keys())
def test_what_a_model_takes_is_told_by_its_name(
    model: str, expected: tuple[str, bool, bool, int]
) -> None:
    traits = traits_of(model)
    assert (traits.thinking, traits.samples, traits.forced_tools, traits.cap) == expected
