"""What the simulated Bedrock refuses: each rule a row, and beside it what is just within the rule."""

from typing import Any
from urllib.parse import quote

import pytest

from router.simulator.anthropic.block_rules import THOUGHT
from router.simulator.signature import sign
from tests.unit.simulator_dialects import PNG, Said, ask

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
NEWEST = "anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {**user(*blocks), "role": "assistant"}


def text(said: str = "x") -> dict[str, Any]:
    return {"text": said}


def use(number: int = 1, name: str = "look") -> dict[str, Any]:
    return {"toolUse": {"toolUseId": f"t{number}", "name": name, "input": {}}}


def result(number: int = 1, *blocks: Any, **fields: Any) -> dict[str, Any]:
    content = list(blocks) or [text("found")]
    return {"toolResult": {"toolUseId": f"t{number}", "content": content, **fields}}


def image(data: str = PNG, form: str = "png", **source: Any) -> dict[str, Any]:
    return {"image": {"format": form, "source": source or {"bytes": data}}}


def document(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"document": {"format": "txt", "name": name, "source": {"bytes": "eA=="}, **fields}}


def spec(name: str = "look", **schema: Any) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", **schema}}}}


TOOLS = {"toolConfig": {"tools": [spec()]}}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": list(messages) or [user(text())], **fields}


def called(*messages: Any, **fields: Any) -> dict[str, Any]:
    return body(user(text()), *messages, **TOOLS, **fields)


def thinking(told: Any, **fields: Any) -> dict[str, Any]:
    return body(additionalModelRequestFields={"thinking": told}, **fields)


def thought(said: str = "hm", signature: str | None = None) -> dict[str, Any]:
    signed = {} if signature is None else {"signature": signature}
    return {"reasoningContent": {"reasoningText": {"text": said, **signed}}}


BUDGET = {"type": "enabled", "budget_tokens": 1024}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": (body(stream=True), "stream: extraneous key is not permitted"),
    "no messages": ({"messages": []}, "messages: Expected `array` of length >= 1"),
    "missing messages": ({}, "messages: is required"),
    # Turns and blocks.
    "the model first": (body(assistant(text())), "must start with a user message"),
    "twice the user": (body(user(text()), user(text())), "must alternate"),
    "system role": (body({"role": "system", "content": [text()]}), "role: Invalid enum value"),
    "no blocks": (body(user()), "messages.0 is empty"),
    "text for blocks": (body({"role": "user", "content": "x"}), "Expected `array`"),
    "an empty block": (body(user({})), "must set one of its members"),
    "two in a block": (body(user({**text(), **image()})), "must set one of its members"),
    "a type": (body(user({"type": "text", "text": "x"})), "type: extraneous key"),
    "blank text": (body(user(text(" "))), "messages.0.content.0 is blank"),
    "blank system": (body(system=[text("")]), "is blank"),
    "space at the end": (
        body(user(text()), assistant(text("x "))),
        "cannot end with trailing whitespace",
    ),
    # Media.
    "image base64": (body(user(image("%"))), "is not valid base64"),
    "image data URL": (body(user(image(f"data:image/png;base64,{PNG}"))), "is not valid base64"),
    "image empty": (body(user(image(""))), "is empty"),
    "image format": (body(user(image(form="jpg"))), "Invalid enum value 'jpg'"),
    "image of another kind": (body(user(image(form="gif"))), "Could not process image"),
    "image address": (body(user(image(url="https://x"))), "url: extraneous key"),
    "image in no bucket": (body(user(image(s3Location={"uri": "gs://a/b"}))), "s3Location.uri"),
    "image of the model": (
        body(user(text()), assistant(image())),
        "cannot be in the turn of the assistant",
    ),
    "a lone document": (body(user(document())), "a text block must be included"),
    "document name": (body(user(text(), document("a.txt"))), "can only contain alphanumeric"),
    "two of a name": (body(user(text(), document(), document())), "duplicate document names: a"),
    # Calls and results.
    "a call of the user": (called(assistant(text()), user(use())), "cannot be in the turn of the"),
    "a result of the model": (called(assistant(result())), "cannot be in the turn of the assis"),
    "no tools": (
        body(user(text()), assistant(use()), user(result())),
        "toolConfig field must be defined",
    ),
    "an uncalled result": (called(assistant(text()), user(result())), "exceeds the number of"),
    "an unanswered call": (
        called(assistant(use()), user(text())),
        "Expected toolResult blocks at messages.2.content for the following Ids: ['t1']",
    ),
    "unanswered at the end": (called(assistant(use())), "Expected toolResult blocks at messages.2"),
    "one of two": (called(assistant(use(1), use(2)), user(result(1))), "following Ids: ['t2']"),
    "another's result": (called(assistant(use(1)), user(result(2))), "following Ids: ['t1']"),
    "two results of one": (
        called(assistant(use(1), use(2)), user(result(1), result(1))),
        "following Ids: ['t2']",
    ),
    "an id again": (
        called(assistant(use()), user(result()), assistant(use()), user(result())),
        "ids must be unique",
    ),
    "an odd id": (
        called(assistant({"toolUse": {"toolUseId": "a b", "name": "look", "input": {}}})),
        "toolUseId",
    ),
    "input as text": (
        called(assistant({"toolUse": {"toolUseId": "a", "name": "look", "input": "{}"}})),
        "input: Expected `object`",
    ),
    "a result as text": (
        called(assistant(use()), user({"toolResult": {"toolUseId": "t1", "content": "x"}})),
        "content: Expected `array`",
    ),
    "an empty error": (
        called(
            assistant(use()),
            user({"toolResult": {"toolUseId": "t1", "content": [], "status": "error"}}),
        ),
        "cannot be empty when status value is error",
    ),
    # Tools.
    "no tool": (body(toolConfig={"tools": []}), "tools: Expected `array` of length >= 1"),
    "only a mark": (
        body(toolConfig={"tools": [{"cachePoint": {"type": "default"}}]}),
        "must hold a tool",
    ),
    "tool name": (body(toolConfig={"tools": [spec("a b")]}), "toolSpec.name"),
    "a tool twice": (body(toolConfig={"tools": [spec(), spec()]}), "duplicate names"),
    "no object": (
        body(toolConfig={"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {}}}}]}),
        "must be one of the following: object",
    ),
    "empty description": (
        body(toolConfig={"tools": [{"toolSpec": {**spec()["toolSpec"], "description": ""}}]}),
        "description",
    ),
    "no such tool": (
        body(toolConfig={"tools": [spec()], "toolChoice": {"tool": {"name": "seek"}}}),
        "seek was not found",
    ),
    "choice none": (
        body(toolConfig={"tools": [spec()], "toolChoice": {"none": {}}}),
        "none: extraneous key",
    ),
    "two choices": (
        body(toolConfig={"tools": [spec()], "toolChoice": {"auto": {}, "any": {}}}),
        "toolChoice must set one",
    ),
    # Settings.
    "too hot": (body(inferenceConfig={"temperature": 1.5}), "temperature: Expected `float` <= 1"),
    "no tokens": (body(inferenceConfig={"maxTokens": 0}), "maxTokens: Expected `int` >= 1"),
    "blank stop": (body(inferenceConfig={"stopSequences": ["\n"]}), "non-whitespace"),
    "top_k": (body(inferenceConfig={"topK": 3}), "topK: extraneous key"),
    "tier": (body(serviceTier={"type": "auto"}), "serviceTier.type"),
    "form": (
        body(
            outputConfig={
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": "{"}},
                }
            }
        ),
        "the schema is not valid JSON",
    ),
    # What a Claude says of its own fields.
    "an unknown field of Claude's": (
        body(additionalModelRequestFields={"simulate": {}}),
        "simulate: Extra inputs are not permitted",
    ),
    "both samplers": (
        body(inferenceConfig={"temperature": 0.5, "topP": 0.5}),
        "cannot both be specified",
    ),
    "a small budget": (thinking({**BUDGET, "budget_tokens": 1023}), "at least 1024"),
    "a budget beyond the cap": (
        thinking(BUDGET, inferenceConfig={"maxTokens": 1024}),
        "must be greater than",
    ),
    "adaptive": (thinking({"type": "adaptive"}), "adaptive thinking is not supported"),
    "thinking and a demand": (
        thinking(BUDGET, toolConfig={"tools": [spec()], "toolChoice": {"any": {}}}),
        "may not be enabled when tool_choice forces",
    ),
    "thinking coolly": (thinking(BUDGET, inferenceConfig={"temperature": 0.5}), "only be set to 1"),
    "a thought without signature": (body(user(text()), assistant(thought())), "Invalid `signa"),
    "another's signature": (
        body(user(text()), assistant(thought("hm", sign(THOUGHT, "ha")))),
        "Invalid `signature` in `thinking` block",
    ),
}
TAKEN: dict[str, dict[str, Any]] = {
    "a system and marks": body(system=[text(), {"cachePoint": {"type": "default"}}]),
    "an image": body(user(image(), text())),
    "an image in a bucket": body(user(image(s3Location={"uri": "s3://bucket-a/b.png"}))),
    "documents": body(user(text(), document("a (1)"), document("b"))),
    "a call and its result": called(assistant(text(), use()), user(result(), text())),
    "two calls, results in any order": called(
        assistant(use(1), use(2)), user(result(2), result(1, {"json": {"a": 1}}, image()))
    ),
    "an empty result": called(
        assistant(use()), user({"toolResult": {"toolUseId": "t1", "content": []}})
    ),
    "a thought": body(
        user(text()), assistant(thought("hm", sign(THOUGHT, "hm")), text()), user(text())
    ),
    "a budget": thinking(BUDGET, inferenceConfig={"maxTokens": 1025, "temperature": 1}),
    "a beginning": body(user(text()), assistant(text("Hello"))),
    "everything else": body(
        inferenceConfig={"maxTokens": 1, "temperature": 1, "stopSequences": ["a"]},
        guardrailConfig={"guardrailIdentifier": "g", "guardrailVersion": "1"},
        requestMetadata={"a": "b"},
        performanceConfig={"latency": "optimized"},
        serviceTier={"type": "flex"},
        additionalModelRequestFields={"top_k": 3},
        additionalModelResponseFieldPaths=["/stop_sequence"],
    ),
}


def asked(fields: Any, model: str = CLAUDE) -> Said:
    path = f"/model/{quote(model, safe='')}/converse"
    return ask(path, fields, headers={"authorization": "Bearer k"})


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_rule_is_refused_with_the_place(name: str) -> None:
    fields, message = REFUSED[name]
    said = asked(fields)
    assert said.status == 400
    assert said.headers["x-amzn-errortype"].startswith("ValidationException:")
    assert message in said.json()["message"]


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_just_within_the_rules_is_answered(name: str) -> None:
    said = asked(TAKEN[name])
    assert said.status == 200, said.body


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        (NEWEST, thinking(BUDGET), "is not supported for this model"),
        (NEWEST, body(inferenceConfig={"temperature": 0.5}), "`temperature` is deprecated"),
        (NEWEST, body(user(text()), assistant(text())), "does not support assistant message"),
    ],
)
def test_the_newest_claudes_take_less(model: str, fields: dict[str, Any], message: str) -> None:
    said = asked(fields, model)
    assert (said.status, message in said.json()["message"]) == (400, True)


def test_models_of_other_makers_have_fields_of_their_own() -> None:
    config = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    said = asked(body(additionalModelRequestFields=config), NOVA)
    [thought_block, text_block] = said.json()["output"]["message"]["content"]
    assert thought_block["reasoningContent"]["reasoningText"].keys() == {"text"}
    assert text_block["text"]
