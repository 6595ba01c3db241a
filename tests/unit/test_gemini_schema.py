"""JSON schemas cleaned for Gemini: the newer form, the older one, and what both refuse."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
from adapters.gemini.schema import clean_schema


def newer(schema: Any) -> Any:
    raw = msgspec.Raw(json.dumps(schema).encode())
    return clean_schema(raw, takes_json_schema=True, param="tools")


def older(schema: Any) -> Any:
    raw = msgspec.Raw(json.dumps(schema).encode())
    return clean_schema(raw, takes_json_schema=False, param="tools")


def of(*types: str, **words: Any) -> dict[str, Any]:
    return {"type": types[0] if len(types) == 1 else list(types), **words}


TEXT = of("string")
OBJECT_WITHIN = of(
    "object", properties={"note": TEXT | {"nullable": True, "description": "Not needed."}}
)


@pytest.mark.parametrize(
    ("schema", "for_newer", "for_older"),
    [
        pytest.param(
            of("object", properties={"a": TEXT}, additionalProperties=False, strict=True)
            | {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x"},
            of("object", properties={"a": TEXT}, additionalProperties=False),
            of("object", properties={"a": TEXT}),
            id="words of the dialect and of other providers",
        ),
        pytest.param(
            {"const": "x"}, of("string", enum=["x"]), of("string", enum=["x"]), id="const"
        ),
        pytest.param(
            {"const": 3}, of("integer", enum=[3]), of("integer"), id="const that is a number"
        ),
        pytest.param({"const": True}, of("boolean"), of("boolean"), id="const that is a truth"),
        pytest.param({"const": None}, of("null"), TEXT | {"nullable": True}, id="const null"),
        pytest.param(
            {"enum": ["a", None]},
            {"anyOf": [of("string", enum=["a"]), of("null")]},
            of("string", enum=["a"], nullable=True),
            id="enum with null",
        ),
        pytest.param(
            of("string", enum=["a"], nullable=True, description="d"),
            {"anyOf": [of("string", enum=["a"]), of("null")], "description": "d"},
            of("string", enum=["a"], nullable=True, description="d"),
            id="enum that may be null",
        ),
        pytest.param(
            of("object", patternProperties={"^x": TEXT}, additionalProperties=False),
            of("object"),
            of("object"),
            id="names by pattern",
        ),
        pytest.param(
            {"enum": ["a", {"b": 1}]},
            of("string", "object"),
            {"anyOf": [TEXT, OBJECT_WITHIN]},
            id="enum of what cannot be listed",
        ),
        pytest.param(
            of("string", "null", maxLength=3),
            of("string", "null"),
            of("string", maxLength=3, nullable=True),
            id="nullable by type",
        ),
        pytest.param(
            of("string", nullable=True),
            of("string", "null"),
            of("string", nullable=True),
            id="nullable by word",
        ),
        pytest.param(
            of("string", "integer", minimum=1, pattern="x"),
            of("string", "integer", minimum=1),
            {"anyOf": [of("string", pattern="x"), of("integer", minimum=1)]},
            id="several types",
        ),
        pytest.param(
            {"anyOf": [TEXT, of("null")], "description": "d"},
            {"anyOf": [TEXT, of("null")], "description": "d"},
            of("string", description="d", nullable=True),
            id="optional by choice",
        ),
        pytest.param(
            {"anyOf": [TEXT, of("integer")], "nullable": True},
            {"anyOf": [TEXT, of("integer"), of("null")]},
            {"anyOf": [TEXT, of("integer")], "nullable": True},
            id="optional by choice and by word",
        ),
        pytest.param(
            {"oneOf": [TEXT, of("integer"), False]},
            {"anyOf": [TEXT, of("integer")]},
            {"anyOf": [TEXT, of("integer")]},
            id="oneOf",
        ),
        pytest.param(
            of("object", properties={"a": TEXT}, anyOf=[{"required": ["a"]}]),
            of("object", properties={"a": TEXT}, anyOf=[{}]),
            of("object", properties={"a": TEXT}),
            id="choice beside a type",
        ),
        pytest.param(
            {
                "allOf": [
                    of("object", properties={"a": TEXT}, required=["a"]),
                    of("object", properties={"b": TEXT}, required=["b"]),
                ]
            },
            of("object", properties={"a": TEXT, "b": TEXT}, required=["a", "b"]),
            of("object", properties={"a": TEXT, "b": TEXT}, required=["a", "b"]),
            id="allOf",
        ),
        pytest.param(
            of("object", properties={"a": True, "b": False}, required=["a", "b", "c", 1]),
            of("object", properties={"a": {}}, required=["a"]),
            of("object", properties={"a": TEXT}, required=["a"]),
            id="required of what is not there",
        ),
        pytest.param(of("array"), of("array"), of("array", items=TEXT), id="array of anything"),
        pytest.param(
            of("array", items=[TEXT, of("integer")], minItems=2, uniqueItems=True),
            of("array", prefixItems=[TEXT, of("integer")], minItems=2),
            of("array", items={"anyOf": [TEXT, of("integer")]}, minItems=2),
            id="tuple as it was",
        ),
        pytest.param(
            of("array", prefixItems=[TEXT], items=of("integer")),
            of("array", prefixItems=[TEXT], items=of("integer")),
            of("array", items={"anyOf": [TEXT, of("integer")]}),
            id="tuple as it is",
        ),
        pytest.param(
            of("array", prefixItems=[TEXT], items=False),
            of("array", prefixItems=[TEXT]),
            of("array", items=TEXT),
            id="tuple without rest",
        ),
        pytest.param(
            of("object", additionalProperties={"const": 1}),
            of("object", additionalProperties=of("integer", enum=[1])),
            of("object"),
            id="map",
        ),
        pytest.param(
            of("string", format="uuid"), of("string", format="uuid"), TEXT, id="unknown format"
        ),
        pytest.param(
            of("string", format="date-time"),
            of("string", format="date-time"),
            of("string", format="date-time"),
            id="known format",
        ),
        pytest.param(
            of("number", exclusiveMinimum=0, maximum=1.5, multipleOf=0.5),
            of("number", maximum=1.5),
            of("number", maximum=1.5),
            id="bounds",
        ),
        pytest.param(
            of("object", properties={"$ref": TEXT, "const": TEXT, "additionalProperties": TEXT}),
            of("object", properties={"$ref": TEXT, "const": TEXT, "additionalProperties": TEXT}),
            of("object", properties={"$ref": TEXT, "const": TEXT, "additionalProperties": TEXT}),
            id="properties named like words",
        ),
        pytest.param({"properties": {}}, {"properties": {}}, of("object"), id="no type"),
        pytest.param(
            of("OBJECT", title=3, description=None, minItems="2", enum="x", required="a"),
            of("object"),
            of("object"),
            id="words of a wrong form",
        ),
    ],
)
def test_a_schema_keeps_what_the_model_knows(schema: Any, for_newer: Any, for_older: Any) -> None:
    assert newer(schema) == for_newer
    assert older(schema) == for_older


POINT = of("object", properties={"x": of("number")})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/P", "$defs": {"P": POINT}},
        {"$ref": "#/definitions/P", "definitions": {"P": POINT}},
        {"$ref": "#/$defs/a~1b~0c%25", "$defs": {"a/b~c%": POINT}},
        {"$ref": "#/$defs/Q", "$defs": {"P": POINT, "Q": {"$ref": "#/$defs/P"}}},
        {"$ref": "#/$defs/list/1", "$defs": {"list": [{}, POINT]}},
        {"allOf": [{"$ref": "#/$defs/P"}], "$defs": {"P": POINT}},
    ],
)
def test_a_reference_becomes_what_it_stands_for(schema: Any) -> None:
    assert newer(schema) == POINT


def test_what_stands_beside_a_reference_holds_too() -> None:
    schema = {"$ref": "#/$defs/P", "description": "where", "$defs": {"P": POINT}}
    assert newer(schema) == POINT | {"description": "where"}


def test_one_definition_may_be_used_many_times() -> None:
    twice = of("object", properties={"a": {"$ref": "#/$defs/P"}, "b": {"$ref": "#/$defs/P"}})
    assert newer(twice | {"$defs": {"P": POINT}})["properties"] == {"a": POINT, "b": POINT}


def test_a_schema_that_contains_itself_is_cut_to_its_type() -> None:
    tree = of("object", properties={"next": {"$ref": "#/$defs/T"}}, description="a tree")
    found = newer({"$ref": "#/$defs/T", "$defs": {"T": tree}})
    assert found["properties"]["next"] == of("object", description="a tree")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, TEXT]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        of("array", items={"$ref": "#"}),
    ],
)
def test_no_circle_of_references_is_followed_for_ever(schema: Any) -> None:
    for clean in (newer, older):
        assert "$ref" not in json.dumps(clean(schema))


def doubling(steps: int) -> dict[str, Any]:
    """A small schema that stands for a huge one: each definition uses the next one twice."""
    defs: dict[str, Any] = {
        str(step): of(
            "object",
            properties={side: {"$ref": f"#/$defs/{step + 1}"} for side in ("left", "right")},
        )
        for step in range(steps)
    }
    return {"$ref": "#/$defs/0", "$defs": defs | {str(steps): TEXT}}


def nested(levels: int) -> Any:
    schema: Any = TEXT
    for _ in range(levels):
        schema = of("array", items=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/$defs/list/7", "$defs": {"list": []}},
        {"$ref": "#anchor/x"},
        {"$ref": "https://elsewhere.example/schema"},
        {"$ref": "#/$defs/text", "$defs": {"text": "no schema"}},
        doubling(30),
        nested(100),
        {"allOf": [nested(900)]},
    ],
)
def test_a_schema_that_cannot_be_written_out_is_refused(schema: Any) -> None:
    with pytest.raises(BadCall) as refused:
        newer(schema)
    assert refused.value.param == "tools"


def test_a_large_schema_that_can_be_written_out_is() -> None:
    assert json.dumps(newer(doubling(8))).count('"string"') == 256


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BadCall):
        clean_schema(msgspec.Raw(b"{"), takes_json_schema=True, param="tools")


def test_an_object_inside_another_always_has_a_member_for_older_models() -> None:
    inner = of("object", properties={}, additionalProperties=False)
    whole = of("object", properties={"a": inner, "b": of("array", items={"type": "object"})})
    assert newer(whole)["properties"]["a"] == inner
    found = older(whole)["properties"]
    for schema in (found["a"], found["b"]["items"]):
        [member] = schema["properties"].values()
        assert member["nullable"] is True
        assert "required" not in schema
    assert older(of("object", properties={})) == of("object")
