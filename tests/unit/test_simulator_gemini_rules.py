"""What the simulated Gemini refuses: each rule a row, and beside it what is just within the rule."""

from typing import Any

import pytest

from router.simulator import Profile, Simulator
from router.simulator.gemini.contents import THOUGHT
from router.simulator.signature import sign
from tests.unit.simulator_dialects import (
    KEYS,
    PNG,
    ask,
    call,
    content,
    function,
    gemini,
    generate,
    response,
)

HELLO = content("user", {"text": "Hello"})
SIGNED = {"thoughtSignature": sign(THOUGHT, "look")}
OLD, NEW = "gemini-2.5-flash", "gemini-3-pro-preview"


def config(**fields: Any) -> dict[str, Any]:
    return generate(generationConfig=fields)


def calling(tools: list[Any], **fields: Any) -> dict[str, Any]:
    return generate(tools=tools, toolConfig={"functionCallingConfig": fields})


def parameters(**schema: Any) -> dict[str, Any]:
    return generate(tools=[function(type="object", properties={"a": schema})])


def general(**schema: Any) -> dict[str, Any]:
    declared = {"name": "look", "parametersJsonSchema": schema}
    return generate(tools=[{"functionDeclarations": [declared]}])


def history(*contents: dict[str, Any]) -> dict[str, Any]:
    return generate(HELLO, *contents)


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return content("model", *parts)


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return content("user", *parts)


def blob(data: str = PNG, mime_type: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


TWO = {"functionDeclarations": [{"name": "look"}, {"name": "look"}]}
BOTH = {"name": "a", "parameters": {"type": "object"}, "parametersJsonSchema": {"type": "object"}}
MISSING = "missing a thought_signature"
CORRUPTED = "Corrupted thought signature"

REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("unknown field", OLD, generate(model="x"), 'Unknown name "model": Cannot find field'),
    ("OpenAI's field", OLD, generate(simulate={}), 'Unknown name "simulate"'),
    ("no contents", OLD, {"contents": []}, "contents is not specified"),
    # Turns and parts.
    ("system role", OLD, generate(content("system", {"text": "x"})), "valid role: user, model"),
    ("assistant role", OLD, generate(content("assistant", {"text": "x"})), "valid role"),
    ("function role", OLD, generate(content("function", {"text": "x"})), "valid role"),
    ("no role", OLD, generate({"parts": [{"text": "x"}]}), "valid role: user, model"),
    ("no parts", OLD, generate(user()), "contents.parts must not be empty"),
    ("nothing in a part", OLD, generate(user({})), "must have one initialized field"),
    ("empty text", OLD, generate(user({"text": ""})), "must have one initialized field"),
    (
        "empty system",
        OLD,
        generate(systemInstruction={"parts": []}),
        "system_instruction.parts: contents.parts must not be empty",
    ),
    (
        "two in a part",
        OLD,
        generate(user({"text": "x", **blob()})),
        "oneof field 'data' is already",
    ),
    ("unknown part field", OLD, generate(user({"text": "x", "type": "text"})), '"type" at'),
    ("image base64", OLD, generate(user(blob("%"))), "Base64 decoding failed"),
    (
        "image data URL",
        OLD,
        generate(user(blob(f"data:image/png;base64,{PNG}"))),
        "Base64 decoding",
    ),
    ("image empty", OLD, generate(user(blob(""))), "must not be empty"),
    ("media type", OLD, generate(user(blob(mime_type="png"))), "Unsupported MIME type: png"),
    ("no address", OLD, generate(user({"fileData": {"fileUri": ""}})), "must not be empty"),
    # Calls and responses.
    ("call by user", OLD, generate(user(call())), "function call parts are the model's"),
    (
        "response by model",
        OLD,
        history(model(call()), model(response())),
        "function response parts are the user's",
    ),
    ("call first", OLD, generate(model(call()), user(response())), "immediately after a user turn"),
    (
        "call after the model's text",
        OLD,
        history(model({"text": "x"}), model(call()), user(response())),
        "immediately after a user turn",
    ),
    (
        "uncalled response",
        OLD,
        generate(user(response())),
        "immediately after a function call turn",
    ),
    ("unanswered", OLD, history(model(call()), HELLO), "is equal to the number of function call"),
    (
        "unanswered at the end",
        OLD,
        history(model(call())),
        "is equal to the number of function call",
    ),
    ("one of two", OLD, history(model(call(), call()), user(response())), "is equal to the number"),
    (
        "two of one",
        OLD,
        history(model(call()), user(response(), response())),
        "is equal to the number",
    ),
    ("other name", OLD, history(model(call()), user(response("seek"))), "the names of function"),
    ("no name", OLD, history(model(call()), user(response(""))), "Name cannot be empty"),
    ("call without name", OLD, history(model(call("")), user(response())), "Name cannot be empty"),
    (
        "response as text",
        OLD,
        history(model(call()), user({"functionResponse": {"name": "look", "response": "x"}})),
        "Expected `object`",
    ),
    (
        "args as text",
        OLD,
        history(model(call(args="{}")), user(response())),
        "args': Expected `object | null`",
    ),
    (
        "other id",
        NEW,
        history(model(call(id="1", **SIGNED)), user(response(id="2"))),
        "matches no function call",
    ),
    # Signatures.
    ("unsigned", NEW, history(model(call()), user(response())), MISSING),
    (
        "second step unsigned",
        NEW,
        history(model(call(**SIGNED)), user(response()), model(call()), user(response())),
        MISSING,
    ),
    (
        "only the second signed",
        NEW,
        history(model(call(), call(**SIGNED)), user(response(), response())),
        MISSING,
    ),
    ("forged", NEW, history(model(call(thoughtSignature="abcd")), user(response())), CORRUPTED),
    (
        "of another call",
        NEW,
        history(model(call(thoughtSignature=sign(THOUGHT, "seek"))), user(response())),
        CORRUPTED,
    ),
    ("forged text", OLD, history(model({"text": "x", "thoughtSignature": "a"}), HELLO), CORRUPTED),
    # Functions.
    ("name's start", OLD, generate(tools=[function("1a")]), "Must start with a letter"),
    ("name's signs", OLD, generate(tools=[function("a b")]), "Must start with a letter"),
    ("name's length", OLD, generate(tools=[function("a" * 65)]), "maximum length of 64"),
    ("name twice", OLD, generate(tools=[TWO]), "Duplicate function declaration found: look"),
    ("OpenAI's tool", OLD, generate(tools=[{"type": "function"}]), 'Unknown name "type"'),
    (
        "strict",
        OLD,
        generate(tools=[{"functionDeclarations": [{"name": "a", "strict": True}]}]),
        "strict",
    ),
    ("two schemas", OLD, generate(tools=[{"functionDeclarations": [BOTH]}]), "mutually exclusive"),
    ("no object", OLD, generate(tools=[function(type="string")]), "should be OBJECT"),
    (
        "nothing in it",
        OLD,
        generate(tools=[function(type="object")]),
        "should be non-empty for OBJECT",
    ),
    ("config alone", OLD, calling([], mode="AUTO"), "set without function_declarations"),
    ("mode", OLD, calling([function()], mode="auto"), "Invalid enum value 'auto'"),
    (
        "names while free",
        OLD,
        calling([function()], mode="AUTO", allowedFunctionNames=["look"]),
        "when the function calling mode is ANY",
    ),
    (
        "unknown name",
        OLD,
        calling([function()], mode="ANY", allowedFunctionNames=["x"]),
        "not in function_declarations: x",
    ),
    # Schemas.
    ("$schema", OLD, generate(tools=[function(type="object", **{"$schema": "x"})]), '"$schema"'),
    (
        "additionalProperties",
        OLD,
        parameters(type="object", additionalProperties=False),
        "additional",
    ),
    ("$ref", OLD, parameters(**{"$ref": "#/$defs/a"}), 'Unknown name "$ref"'),
    ("const", OLD, parameters(const=1), 'Unknown name "const"'),
    ("oneOf", OLD, parameters(oneOf=[]), 'Unknown name "oneOf"'),
    ("exclusiveMinimum", OLD, parameters(type="integer", exclusiveMinimum=0), "exclusiveMinimum"),
    ("several types", OLD, parameters(type=["string", "null"]), "Proto field is not repeating"),
    ("no type", OLD, parameters(description="x"), "type: must be specified"),
    ("unknown type", OLD, parameters(type="date"), "(TYPE_ENUM)"),
    ("array of what", OLD, parameters(type="array"), "items: missing field"),
    ("enum of numbers", OLD, parameters(type="integer", enum=[1]), "only allowed for STRING"),
    ("number in enum", OLD, parameters(type="string", enum=[1]), "(TYPE_STRING), 1"),
    ("nothing in enum", OLD, parameters(type="string", enum=[""]), "cannot be empty"),
    ("format", OLD, parameters(type="string", format="uri"), "only 'enum' and 'date-time'"),
    (
        "required",
        OLD,
        generate(
            tools=[function(type="object", properties={"a": {"type": "string"}}, required=["b"])]
        ),
        "required[0]: property is not defined",
    ),
    ("JSON schema's words", OLD, general(type="object", allOf=[]), "'allOf' is not supported"),
    (
        "inner words",
        OLD,
        general(type="object", properties={"a": {"type": "string", "pattern": "x"}}),
        "properties[a]: the keyword 'pattern' is not supported",
    ),
    ("beside $ref", OLD, general(**{"$ref": "#", "type": "object"}), "beside $ref"),
    ("JSON schema of no object", OLD, general(type="string"), "must describe an object"),
    # The form of the answer, and the way to it.
    ("stops", OLD, config(stopSequences=list("abcdef")), "Expected `array` of length <= 5"),
    ("temperature", OLD, config(temperature=2.1), "temperature': Expected `float` <= 2.0"),
    ("seed", OLD, config(seed=2**31), "seed'"),
    ("no tokens", OLD, config(maxOutputTokens=0), "maxOutputTokens': Expected `int` >= 1"),
    ("OpenAI's cap", OLD, config(max_tokens=1), 'Unknown name "max_tokens"'),
    ("schema of text", OLD, config(responseSchema={"type": "string"}), "application/json"),
    (
        "form's words",
        OLD,
        config(
            responseMimeType="application/json", responseSchema={"type": "object", "strict": True}
        ),
        'Unknown name "strict"',
    ),
    (
        "form and functions",
        OLD,
        {**config(responseMimeType="application/json"), "tools": [function()]},
        "'application/json' is unsupported",
    ),
    ("logprobs", OLD, config(logprobs=2), "only valid if response_logprobs"),
    (
        "level before 3",
        OLD,
        config(thinkingConfig={"thinkingLevel": "LOW"}),
        "level is not supported",
    ),
    (
        "thoughts before 2.5",
        "gemini-2.0-flash",
        config(thinkingConfig={}),
        "Thinking is not supported",
    ),
    (
        "both",
        NEW,
        config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 1}),
        "only one of thinking budget",
    ),
    (
        "no level",
        NEW,
        config(thinkingConfig={"thinkingLevel": "MINIMAL"}),
        "MINIMAL is not supported",
    ),
    (
        "pro without thoughts",
        "gemini-2.5-pro",
        config(thinkingConfig={"thinkingBudget": 0}),
        "only works in thinking mode",
    ),
    ("budget", OLD, config(thinkingConfig={"thinkingBudget": 30_000}), "range 1 to 24576"),
]

TAKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("plain", OLD, generate()),
    ("neighbours", OLD, generate(HELLO, HELLO, model({"text": "x"}), HELLO)),
    ("system", OLD, generate(systemInstruction={"parts": [{"text": "Be brief."}]})),
    ("image", OLD, generate(user({"text": "x"}, blob(), {"fileData": {"fileUri": "https://x/y"}}))),
    ("unsigned before 3", OLD, history(model(call()), user(response()))),
    ("signed", NEW, history(model(call(**SIGNED)), user(response()))),
    (
        "only the first signed",
        NEW,
        history(model(call(**SIGNED), call()), user(response(), response())),
    ),
    ("ids", NEW, history(model(call(id="1", **SIGNED)), user(response(id="1"), {"text": "go on"}))),
    (
        "unsigned long ago",
        NEW,
        history(model(call()), user(response()), model({"text": "x"}), HELLO),
    ),
    (
        "another model's call",
        NEW,
        history(model(call(thoughtSignature="skip_thought_signature_validator")), user(response())),
    ),
    (
        "signature without text",
        NEW,
        history(model({"text": "", "thoughtSignature": sign(THOUGHT, "")}), HELLO),
    ),
    ("names", OLD, generate(tools=[function("_a.b:c-d"), function("a" * 64)])),
    (
        "capitals",
        OLD,
        generate(tools=[function(type="OBJECT", properties={"a": {"type": "STRING"}})]),
    ),
    ("enum", OLD, parameters(type="string", enum=["a"], format="enum", nullable=True)),
    (
        "choice",
        OLD,
        parameters(anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "null"}}]),
    ),
    (
        "JSON schema",
        OLD,
        general(
            type="object",
            properties={"a": {"$ref": "#/$defs/b"}, "c": {"type": ["string", "null"], "enum": [1]}},
            additionalProperties=False,
            **{"$defs": {"b": {"const": 1}}, "$schema": "x"},
        ),
    ),
    ("some function", OLD, calling([function()], mode="ANY", allowedFunctionNames=["look"])),
    (
        "form and functions of 3",
        NEW,
        {**config(responseMimeType="application/json"), "tools": [function()]},
    ),
    ("as it likes", OLD, config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": True})),
    ("no thoughts", OLD, config(thinkingConfig={"thinkingBudget": 0})),
    ("level", NEW, config(thinkingConfig={"thinkingLevel": "LOW"})),
]


@pytest.mark.parametrize(
    ("model_name", "body", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_breaks_a_rule_is_refused(model_name: str, body: dict[str, Any], told: str) -> None:
    said = gemini(body, model=model_name)
    assert said.status == 400, said.body
    error = said.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert told in error["message"]


@pytest.mark.parametrize(
    ("model_name", "body"), [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN]
)
def test_what_is_within_the_rules_is_taken(model_name: str, body: dict[str, Any]) -> None:
    said = gemini(body, model=model_name)
    assert said.status == 200, said.body
    assert said.json()["candidates"]


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {}, 403, "PERMISSION_DENIED"),
        ("", {"authorization": "Bearer k"}, 403, "PERMISSION_DENIED"),
        ("?key=k", {}, 400, "INVALID_ARGUMENT"),
        ("?key=k", KEYS["gemini"], 400, "INVALID_ARGUMENT"),
        ("", {"x-goog-api-key": "other"}, 400, "INVALID_ARGUMENT"),
        ("", KEYS["gemini"], 200, None),
    ],
)
def test_the_key_is_in_its_header(
    query: str, headers: dict[str, str], status: int, code: str | None
) -> None:
    simulator = Simulator(required_keys=["k"])
    said = gemini(
        generate(), method="generateContent" + query, headers=headers, simulator=simulator
    )
    assert said.status == status
    assert said.json().get("error", {}).get("status") == code


def test_a_wrong_key_is_told_in_the_details() -> None:
    said = gemini(generate(), simulator=Simulator(required_keys=["other"]))
    assert [detail["reason"] for detail in said.json()["error"]["details"]] == ["API_KEY_INVALID"]


def test_an_unknown_model_is_not_found() -> None:
    said = gemini(generate(), simulator=Simulator(Profile(models=("gemini",))))
    assert (said.status, said.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_request(body: bytes) -> None:
    said = gemini(body)
    assert (said.status, said.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_model_may_be_named_like_a_method_elsewhere() -> None:
    said = ask("/v1/models/llama3:8b", b"", headers={}, method="GET")
    assert said.json()["id"] == "llama3:8b"
