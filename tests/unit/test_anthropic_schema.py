"""Schemas of answers, closed as Anthropic's structured output takes them."""

import json
from typing import Any

import msgspec
import pytest

from adapters.anthropic.schema import closed_schema

Schema = dict[str, Any]


def closed(schema: Any) -> Any:
    found = closed_schema(msgspec.Raw(json.dumps(schema).encode()))
    return None if found is None else json.loads(bytes(found))


SAID: dict[str, tuple[Schema, Schema]] = {
    "an object is closed, and so are those inside": (
        {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}},
        {
            "type": "object",
            "properties": {
                "a": {"type": "object", "properties": {}, "additionalProperties": False}
            },
            "additionalProperties": False,
        },
    ),
    "limits become words": (
        {"type": "string", "description": "a name", "minLength": 1, "format": "color"},
        {"type": "string", "description": 'a name (minLength: 1, format: "color")'},
    ),
    "known formats stay": ({"type": "string", "format": "uuid"},) * 2,
    "few items stay": (
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "(maxItems: 3)",
        },
    ),
    "one of is any of": (
        {"oneOf": [{"type": "string"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ),
    "references stay": (
        {
            "$schema": "x",
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"enum": [1]}},
        },
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"enum": [1]}},
            "additionalProperties": False,
        },
    ),
    "a nullable object is an object": (
        {"type": ["object", "null"], "properties": {}},
        {"type": ["object", "null"], "properties": {}, "additionalProperties": False},
    ),
}


@pytest.mark.parametrize(("schema", "expected"), SAID.values(), ids=SAID.keys())
def test_a_schema_is_said_as_it_is_taken(schema: Schema, expected: Schema) -> None:
    assert closed(schema) == expected


UNSAID: dict[str, Any] = {
    "an open object": {"type": "object", "additionalProperties": True},
    "an open object inside": {
        "type": "array",
        "items": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "patterns": {"type": "object", "patternProperties": {"^a": {}}},
    "a schema that is true": {"type": "object", "properties": {"a": True}},
    "a schema that contains itself": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}},
    },
    "two that contain each other": {
        "$ref": "#/$defs/A",
        "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}},
    },
    "one that contains the whole": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "no schema": [],
}


@pytest.mark.parametrize("schema", UNSAID.values(), ids=UNSAID.keys())
def test_a_schema_that_is_not_taken_is_not_said(schema: Any) -> None:
    assert closed(schema) is None


def test_a_nest_too_deep_is_not_said() -> None:
    assert closed_schema(msgspec.Raw(b'{"items":' * 5000 + b"{}" + b"}" * 5000)) is None
