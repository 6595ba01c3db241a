"""What the simulated Anthropic refuses: each rule a row, and beside it what is just within the rule."""

from typing import Any

import pytest

from router.simulator import Profile, Simulator
from router.simulator.anthropic.block_rules import THOUGHT
from router.simulator.signature import sign
from tests.unit.simulator_dialects import (
    COUNT_TOKENS,
    KEYS,
    PNG,
    anthropic,
    assistant,
    message,
    result,
    text,
    tool,
    use,
    user,
)

THINK = {"type": "enabled", "budget_tokens": 1024}
ADAPT = {"type": "adaptive"}
MARK = {"type": "ephemeral"}
TOOLS = [tool(), tool("search")]
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "Words."},
}


def image(data: str = PNG, media_type: str = "image/png") -> dict[str, Any]:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": data},
    }


def linked(url: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "url", "url": url}}


def thought(said: str = "Hm.", signature: str | None = None) -> dict[str, Any]:
    signed = sign(THOUGHT, said) if signature is None else signature
    return {"type": "thinking", "thinking": said, "signature": signed}


def form(**schema: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no cap", message(max_tokens=None), "max_tokens: Field required"),
    ("cap below zero", message(max_tokens=-1), "max_tokens: Expected `int` >= 0"),
    ("no model", message(model=None), "model: Field required"),
    ("unknown field", message(n=2), "n: Extra inputs are not permitted"),
    ("OpenAI's field", message(simulate={}), "simulate: Extra inputs are not permitted"),
    ("null", {**message(), "temperature": None, "stream": None}, "stream: Expected `bool`"),
    ("too warm", message(temperature=1.1), "temperature: Expected `float` <= 1.0"),
    ("too cold", message(temperature=-0.1), "temperature: Expected `float` >= 0.0"),
    ("top_p", message(top_p=1.5), "top_p: Expected `float` <= 1.0"),
    ("blank stop", message(stop_sequences=["\n"]), "must contain non-whitespace"),
    ("metadata", message(metadata={"team": "a"}), "metadata.team: Extra inputs"),
    ("beta field without flag", message(context_management={}), "context_management: Extra"),
    # Turns.
    ("no messages", {**message(), "messages": []}, "at least one message is required"),
    ("assistant first", message(assistant("Hi")), 'first message must use the "user" role'),
    ("system role", message({"role": "system", "content": "x"}), "role: Invalid enum value"),
    ("empty content", message(user(""), assistant("x"), user("y")), "must have non-empty content"),
    ("empty text", message(user(text(""))), "text content blocks must be non-empty"),
    ("blank text", message(user(text(" \n"))), "must contain non-whitespace text"),
    ("empty system", message(system=[text("")]), "system.0: text content blocks must be non-empty"),
    ("prefill ends in space", message(user("x"), assistant("y ")), "trailing whitespace"),
    ("prefill refused", message(user("x"), assistant("y"), model="claude-opus-4-6"), "prefill"),
    ("unknown block", message(user({"type": "sound"})), "type: Invalid value 'sound'"),
    ("unknown block field", message(user(text("x", detail="low"))), "detail: Extra inputs"),
    ("image by assistant", message(user("x"), assistant(image())), "in the turn of the assistant"),
    ("call by user", message(user(use(1)), tools=TOOLS), "in the turn of the user"),
    # Media.
    ("image type", message(user(image(media_type="image/bmp"))), "media_type: Invalid enum value"),
    ("image base64", message(user(image("%%%"))), "not valid base64"),
    ("data URL", message(user(image(f"data:image/png;base64,{PNG}"))), "not valid base64"),
    ("image empty", message(user(image(""))), "cannot be empty"),
    (
        "image misnamed",
        message(user(image(media_type="image/jpeg"))),
        "does not match the provided",
    ),
    ("image by http", message(user(linked("http://x/y.png"))), "Only HTTPS URLs"),
    ("image by data URL", message(user(linked("data:image/png;base64,x"))), "Only HTTPS URLs"),
    # Tools.
    ("no schema", message(tools=[{"name": "a"}]), "input_schema: Field required"),
    (
        "no type",
        message(tools=[{"name": "a", "input_schema": {}}]),
        "tools.0.custom.input_schema.type: Field required",
    ),
    ("type", message(tools=[tool(type="string")]), "input_schema.type: Input should be 'object'"),
    ("top choice", message(tools=[tool(anyOf=[])]), "does not support oneOf, allOf, or anyOf"),
    ("property", message(tools=[tool(properties={"a b": {}})]), "Property keys should match"),
    ("required", message(tools=[tool(required="a")]), "JSON schema is invalid"),
    ("tool name", message(tools=[tool("a.b")]), "name: Expected `str` matching regex"),
    (
        "OpenAI's tool",
        message(tools=[{"type": "function", "function": {}}]),
        "type: Invalid enum value 'function'",
    ),
    ("tool twice", message(tools=[tool(), tool()]), "Tool names must be unique"),
    ("choice without tools", message(tool_choice={"type": "auto"}), "while providing tools"),
    ("choice as text", message(tools=TOOLS, tool_choice="auto"), "tool_choice: Expected"),
    ("OpenAI's choice", message(tools=TOOLS, tool_choice={"type": "required"}), "'required'"),
    ("choice without name", message(tools=TOOLS, tool_choice={"type": "tool"}), "name: Field"),
    (
        "unknown choice",
        message(tools=TOOLS, tool_choice={"type": "tool", "name": "x"}),
        "Tool 'x' not found",
    ),
    (
        "serial none",
        message(tools=TOOLS, tool_choice={"type": "none", "disable_parallel_tool_use": True}),
        "disable_parallel_tool_use: Extra inputs",
    ),
    # Calls and results.
    (
        "unanswered",
        message(user("x"), assistant(use(1)), user("y")),
        "without `tool_result` blocks",
    ),
    ("unanswered at the end", message(user("x"), assistant(use(1))), "without `tool_result`"),
    (
        "one of two answered",
        message(user("x"), assistant(use(1), use(2)), user(result(1))),
        "immediately after: toolu_2.",
    ),
    (
        "text before results",
        message(user("x"), assistant(use(1)), user(text("y"), result(1))),
        "immediately after: toolu_1.",
    ),
    ("uncalled", message(user(result(1))), "unexpected `tool_use_id` found"),
    (
        "answered late",
        message(user("x"), assistant(use(1)), user(result(1)), assistant("y"), user(result(1))),
        "unexpected `tool_use_id` found",
    ),
    (
        "answered twice",
        message(user("x"), assistant(use(1)), user(result(1), result(1))),
        "must have a single result",
    ),
    (
        "same id twice",
        message(user("x"), assistant(use(1), use(1)), user(result(1))),
        "ids must be unique",
    ),
    ("id", message(user("x"), assistant({**use(1), "id": "a|b"})), "id: Expected `str` matching"),
    (
        "input as text",
        message(user("x"), assistant({**use(1), "input": "{}"}), user(result(1))),
        "input: Expected `object`",
    ),
    (
        "result's text",
        message(user("x"), assistant(use(1)), user(result(1, [text("")]))),
        "non-empty",
    ),
    # Thinking.
    ("small budget", message(thinking={**THINK, "budget_tokens": 1023}), "or equal to 1024"),
    ("no room", message(thinking=THINK, max_tokens=1024), "`max_tokens` must be greater"),
    ("warm thoughts", message(thinking=THINK, temperature=0.5), "may only be set to 1"),
    ("adaptive and warm", message(thinking=ADAPT, temperature=0), "may only be set to 1"),
    ("top_p and thoughts", message(thinking=THINK, top_p=0.9), "`top_p` must be greater"),
    ("top_k and thoughts", message(thinking=THINK, top_k=3), "`top_k` must be unset"),
    (
        "forced tool and thoughts",
        message(thinking=THINK, tools=TOOLS, tool_choice={"type": "any"}),
        "when tool_choice forces tool use",
    ),
    ("unknown way", message(thinking={"type": "auto"}), "thinking.type: Invalid value 'auto'"),
    ("unsigned", message(user("x"), assistant(thought(signature="")), user("y")), "`signature`"),
    (
        "changed thought",
        message(user("x"), assistant(thought("Ha.", sign(THOUGHT, "Hm.")), text("y")), user("z")),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        "redacted forgery",
        message(user("x"), assistant({"type": "redacted_thinking", "data": "abc"}), user("y")),
        "Invalid `data`",
    ),
    (
        "lost thought",
        message(user("x"), assistant(use(1)), user(result(1)), thinking=THINK, tools=TOOLS),
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    (
        "thought after text",
        message(
            user("x"), assistant(text("a"), thought(), use(1)), user(result(1)), thinking=THINK
        ),
        "but found `text`",
    ),
    # The cache, and the form of the answer.
    (
        "five marks",
        message(user(*(text(str(n), cache_control=MARK) for n in range(5)))),
        "A maximum of 4 blocks with cache_control",
    ),
    ("marked nothing", message(user(text("", cache_control=MARK))), "cannot be set for empty"),
    ("mark", message(user(text("x", cache_control={"type": "long"}))), "cache_control.type"),
    (
        "open object",
        message(**form(type="object", properties={})),
        "must be explicitly set to false",
    ),
    (
        "inner open object",
        message(**form(type="array", items={"type": "object"})),
        "must be explicitly set to false",
    ),
    (
        "limit",
        message(
            **form(
                type="object",
                additionalProperties=False,
                properties={"a": {"type": "integer", "minimum": 1}},
            )
        ),
        "For 'integer' type, property 'minimum' is not supported",
    ),
    # What newer models have dropped.
    ("no thought yet", message(model="claude-3-5-haiku-latest", thinking=THINK), "not support"),
    ("no adapting yet", message(model="claude-sonnet-4-5", thinking=ADAPT), "not supported on"),
    (
        "no budget now",
        message(model="claude-opus-4-7", thinking=THINK),
        "is not supported for this",
    ),
    ("no sampling now", message(model="claude-opus-4-8", top_p=0.5), "`top_p` is deprecated"),
    (
        "two samplers",
        message(model="claude-haiku-4-5-20251001", temperature=1, top_p=1),
        "cannot both be specified",
    ),
]

TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("plain", message()),
    ("neighbours", message(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))),
    ("coolest and warmest", message(temperature=1.0, top_p=0.0, top_k=0)),
    ("least thought", message(thinking=THINK, max_tokens=1025, temperature=1, top_p=0.95)),
    ("prefill", message(user("x"), assistant("y"))),
    ("empty prefill", message(user("x"), assistant(""))),
    ("image", message(user(text("x"), image(), linked("https://x/y.png")))),
    ("bare result", message(user("x"), assistant(use(1)), user({**result(1), "content": ""}))),
    ("image as result", message(user("x"), assistant(use(1)), user(result(1, [image()])))),
    (
        "results over two messages, then text",
        message(
            user("x"), assistant(use(1), use(2)), user(result(2)), user(result(1), text("go on"))
        ),
    ),
    (
        "thought returned",
        message(
            user("x"),
            assistant(thought(), use(1)),
            user(result(1)),
            thinking=THINK,
            tools=TOOLS,
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        ),
    ),
    (
        "thought lost while adapting",
        message(user("x"), assistant(use(1)), user(result(1)), thinking=ADAPT, tools=TOOLS),
    ),
    (
        "four marks",
        message(user(*(text(str(n), cache_control=MARK) for n in range(4)))),
    ),
    (
        "closed object",
        message(**form(type="object", additionalProperties=False, properties={"a": {}})),
    ),
    ("whose it is", message(metadata={"user_id": "u"}, service_tier="auto")),
]


@pytest.mark.parametrize(
    ("body", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_breaks_a_rule_is_refused(body: dict[str, Any], told: str) -> None:
    said = anthropic(body)
    assert said.status == 400, said.body
    assert said.json()["type"] == "error"
    assert said.json()["error"]["type"] == "invalid_request_error"
    assert told in said.json()["error"]["message"]


@pytest.mark.parametrize("body", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_what_is_within_the_rules_is_taken(body: dict[str, Any]) -> None:
    said = anthropic(body)
    assert said.status == 200, said.body
    assert said.json()["type"] == "message"


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 401, "authentication_error"),
        ({"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ({"authorization": "Bearer k", "anthropic-version": "2026-10-21"}, 200, None),
        ({**KEYS["anthropic"], "authorization": "Bearer other"}, 200, None),
        ({"x-api-key": "other", "anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ({"x-api-key": "k"}, 400, "invalid_request_error"),
        ({"x-api-key": "k", "anthropic-version": "2024-01-01"}, 400, "invalid_request_error"),
        ({**KEYS["anthropic"], "anthropic-beta": "all-of-them"}, 400, "invalid_request_error"),
        ({**KEYS["anthropic"], "anthropic-beta": "context-1m-2025-08-07"}, 200, None),
    ],
)
def test_headers(headers: dict[str, str], status: int, kind: str | None) -> None:
    said = anthropic(message(), headers=headers, simulator=Simulator(required_keys=["k"]))
    assert said.status == status
    assert said.json().get("error", {}).get("type") == kind
    assert said.headers["request-id"].startswith("req_")


def test_a_beta_field_is_taken_with_its_flag() -> None:
    flag = {**KEYS["anthropic"], "anthropic-beta": "context-management-2025-06-27"}
    assert anthropic(message(context_management={"edits": []}), headers=flag).status == 200


def test_an_unknown_model_is_not_found() -> None:
    said = anthropic(message(), simulator=Simulator(Profile(models=("claude",))))
    assert (said.status, said.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"m"}', b"\xff"])
def test_a_body_that_is_no_request(body: bytes) -> None:
    said = anthropic(body)
    assert (said.status, said.json()["error"]["type"]) == (400, "invalid_request_error")


def test_counting_takes_a_prompt_and_nothing_of_an_answer() -> None:
    prompt = message(max_tokens=None, tools=TOOLS, system="Be brief.")
    counted = anthropic(prompt, path=COUNT_TOKENS + "?beta=true")
    assert counted.json() == {
        "input_tokens": anthropic({**prompt, "max_tokens": 1}).json()["usage"]["input_tokens"]
    }
    assert (
        "max_tokens: Extra inputs"
        in anthropic(message(), path=COUNT_TOKENS).json()["error"]["message"]
    )
    wrong = message(assistant("x"), max_tokens=None)
    assert anthropic(wrong, path=COUNT_TOKENS).status == 400


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (message(temperature=1.0), "temperature: Extra inputs"),
        (message(top_p=1.0), "top_p: Extra inputs"),
        (message(top_k=5), "top_k: Extra inputs"),
        (
            message(user("x"), assistant(DOCUMENT), user("y")),
            "messages.1.content.0: document blocks",
        ),
        (message(user(text("x", citations=[{"type": "char_location"}]))), "content.0.citations"),
    ],
)
def test_what_the_newer_version_refuses(body: dict[str, Any], told: str) -> None:
    newer = {**KEYS["anthropic"], "anthropic-version": "2026-10-21"}
    said = anthropic(body, headers=newer)
    assert said.status == 400
    assert told in said.json()["error"]["message"]
    assert anthropic(body).status == 200
