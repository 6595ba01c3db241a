"""What holds for every answer and every schema in Gemini's dialect."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.dialect import BadCall
from adapters.gemini.schema import clean_schema
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Text, ToolCall
from adapters.middle.event import (
    Begun,
    Ended,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from tests.unit.gemini_wire import UPSTREAM, body, conversation, model, read, sent, user

WORDS = st.text(st.sampled_from('ab \n"{}ü🙂'), max_size=6)
SIGNATURES = st.none() | st.sampled_from(["c2ln", "AA=="])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def wire_parts(draw: st.DrawFn) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if draw(st.booleans()):
        part = {"text": draw(WORDS), **draw(st.sampled_from([{}, {"thought": True}]))}
    else:
        call: dict[str, Any] = {"name": draw(st.sampled_from(["add", "sub"]))}
        if draw(st.booleans()):
            call["args"] = draw(st.dictionaries(WORDS, JSON, max_size=2))
        if draw(st.booleans()):
            call["id"] = draw(st.sampled_from(["i1", "i2"]))
        part = {"functionCall": call}
    signature = draw(SIGNATURES)
    return part if signature is None else {**part, "thoughtSignature": signature}


def chunk_of(parts: Sequence[Any], **fields: Any) -> dict[str, Any]:
    return {
        "responseId": "r",
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}],
    }


FINISHES = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"])
COUNTS = st.fixed_dictionaries(
    {"promptTokenCount": st.integers(0, 99), "candidatesTokenCount": st.integers(0, 99)}
)


class Told(msgspec.Struct):
    """One answer both ways: the chunks of its stream, and the whole of it."""

    chunks: list[dict[str, Any]]
    whole: dict[str, Any]


@st.composite
def answers(draw: st.DrawFn) -> Told:
    groups = draw(st.lists(st.lists(wire_parts(), max_size=3), min_size=1, max_size=4))
    finish, counts = draw(FINISHES), draw(COUNTS)
    chunks = [chunk_of(group) for group in groups]
    end = {"usageMetadata": counts}
    if draw(st.booleans()):
        chunks.append(chunk_of([{"text": ""}], finishReason=finish) | end)
    else:
        chunks[-1]["candidates"][0]["finishReason"] = finish
        chunks[-1] |= end
    every = [part for group in groups for part in group]
    return Told(chunks, chunk_of(every, finishReason=finish) | end)


def message(events: Sequence[MiddleEvent]) -> WholeAnswer:
    """The final message that a client makes of a stream."""
    assert isinstance(events[0], Begun)
    assert isinstance(events[-1], Ended)
    parts: list[Part] = []
    stop = None
    usage = None
    open_part: PartBegun | None = None
    texts: list[str] = []
    signature: str | None = None
    for event in events[1:-1]:
        match event:
            case PartBegun():
                assert open_part is None, "parts do not overlap"
                assert event.part == len(parts), "parts are numbered without gaps"
                open_part = event
                texts, signature = [], None
            case Grown():
                assert open_part is not None
                assert event.part == open_part.part
                texts.append(event.text)
                signature = event.signature or signature
            case PartEnded():
                assert open_part is not None
                parts.append(part_of(open_part, "".join(texts), signature))
                open_part = None
            case Stopped():
                assert stop is None, "a choice stops once"
                stop = event.stop
            case UsageTold():
                usage = event.usage
    assert stop is not None
    return WholeAnswer(
        choices=(Choice(parts=tuple(parts), stop=stop),), id=events[0].id, usage=usage
    )


def part_of(begun: PartBegun, text: str, signature: str | None) -> Part:
    if begun.kind == "call":
        assert begun.id
        assert begun.name
        assert isinstance(json.loads(text), dict)
        return ToolCall(id=begun.id, name=begun.name, arguments=text, signature=signature)
    if begun.kind == "reasoning":
        return Reasoning(text=text, signature=signature)
    return Text(text=text)


@given(answers(), st.data())
def test_a_stream_is_the_same_however_its_bytes_are_cut(told: Told, data: st.DataObject) -> None:
    stream = body(*told.chunks)
    whole = read([stream])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)))
    places = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert read(pieces) == whole
    assert read([stream[place : place + 1] for place in range(len(stream))]) == whole


@given(answers())
def test_a_stream_and_a_whole_answer_are_the_same_message(told: Told) -> None:
    whole = UPSTREAM.decode(conversation(), json.dumps(told.whole, indent=1).encode())
    assert message(read([body(*told.chunks)])) == whole


@given(answers())
def test_a_stream_that_is_cut_between_events_never_ends(told: Told) -> None:
    for last in range(len(told.chunks)):
        events = read([body(*told.chunks[:last])])
        assert not any(isinstance(event, Stopped | Ended) for event in events)


@given(answers())
def test_an_answer_goes_back_as_it_came(told: Told) -> None:
    """What Gemini signed and called stands in the next request just so."""
    answer = UPSTREAM.decode(conversation(), json.dumps(told.whole).encode())
    replayed = conversation(user("Hi"), model(*answer.choices[0].parts))
    contents = sent(replayed)["contents"]
    parts = contents[1]["parts"] if len(contents) > 1 else []
    came = told.whole["candidates"][0]["content"]["parts"]
    assert calls_of(parts) == calls_of(came)
    assert texts_of(parts) == texts_of(came)
    signatures = [part["thoughtSignature"] for part in came if "thoughtSignature" in part]
    returned = [part.get("thoughtSignature") for part in parts]
    assert [found for found in returned if found in {"c2ln", "AA=="}] == signatures


def calls_of(parts: Sequence[Any]) -> list[Any]:
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    return [(call["name"], call.get("args", {})) for call in calls]


def texts_of(parts: Sequence[Any]) -> str:
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


# Schemas: well-formed ones of every word, and any JSON at all in a schema's place.

NAMES = st.sampled_from(["a", "b", "$ref", "const", "$schema", "additionalProperties"])
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "object", "array", "null"])
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a"])


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "$schema": st.just("https://json-schema.org/draft/2020-12/schema"),
            "$ref": REFERENCES,
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3),
            "const": JSON,
            "enum": st.lists(JSON, max_size=3),
            "strict": st.booleans(),
            "nullable": st.booleans(),
            "format": st.sampled_from(["uuid", "date-time", "int32"]),
            "minimum": st.integers(0, 5),
            "exclusiveMinimum": st.integers(0, 5),
            "pattern": st.just("^a"),
            "minItems": st.integers(0, 5) | WORDS,
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "patternProperties": st.dictionaries(NAMES, inner, max_size=1),
            "required": st.lists(NAMES, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "items": st.booleans() | inner | st.lists(inner, max_size=2),
            "prefixItems": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "oneOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "not": inner,
            "description": WORDS,
        },
    )


SCHEMAS = st.recursive(st.booleans() | st.none() | WORDS, grown, max_leaves=4)
ROOTS = st.builds(
    lambda root, a, b: {**root, "$defs": {"a": a, "b": b}}, grown(SCHEMAS), SCHEMAS, SCHEMAS
)

NEWER = {
    *("type", "format", "title", "description", "enum", "items", "prefixItems", "minItems"),
    *("maxItems", "minimum", "maximum", "anyOf", "properties", "additionalProperties", "required"),
}
OLDER = (NEWER - {"prefixItems", "additionalProperties"}) | {
    *("nullable", "pattern", "minLength", "maxLength", "minProperties", "maxProperties"),
}


def check(schema: Any, *, newer: bool) -> None:
    """Check that a schema is well-formed and has no word that is not allowed."""
    assert isinstance(schema, dict)
    assert schema.keys() <= (NEWER if newer else OLDER)
    names = schema.get("type", [])
    if not newer:
        assert ("type" in schema) != ("anyOf" in schema)
        assert isinstance(names, str) or "type" not in schema
        assert "items" in schema or names != "array"
        assert all(isinstance(value, str) for value in schema.get("enum", ()))
    for listed in schema.get("enum", ()):
        assert isinstance(listed, str | int | float)
        assert not isinstance(listed, bool)
    properties = schema.get("properties", {})
    assert set(schema.get("required", ())) <= properties.keys()
    inner = [*properties.values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema[name] for name in ("items",) if name in schema]
    if isinstance(schema.get("additionalProperties"), dict):
        inner.append(schema["additionalProperties"])
    for found in inner:
        check(found, newer=newer)


def cleaned(schema: Any, *, newer: bool) -> Any:
    raw = msgspec.Raw(json.dumps(schema).encode())
    return clean_schema(raw, takes_json_schema=newer, param="tools")


@given(ROOTS, st.booleans())
@example({"enum": [[], {}]}, False)
@example({"anyOf": [{"anyOf": [True, {}]}], "description": "d"}, False)
@example({"anyOf": [{"const": None, "description": "d"}]}, True)
def test_a_cleaned_schema_is_well_formed_and_knows_no_forbidden_word(
    schema: Any, newer: bool
) -> None:
    try:
        found = cleaned(schema, newer=newer)
    except BadCall:  # a reference that leads to no schema
        return
    check(found, newer=newer)
    assert cleaned(found, newer=newer) == found, "cleaning a clean schema changes nothing"


def allows(schema: Any, value: Any, root: Any, depth: int = 0) -> bool:
    """Whether a schema allows a value, by JSON Schema's rules for the words that are used here."""
    if isinstance(schema, bool) or not isinstance(schema, dict):
        return schema is not False
    if depth > 20:  # a schema that only refers to itself says nothing
        return True
    deeper = partial(allows, root=root, depth=depth + 1)
    reference = schema.get("$ref")
    checks = [
        reference is None or deeper(target_of(root, reference), value),
        any(is_of(name, value) for name in names_of(schema)) or not names_of(schema),
        "const" not in schema or same(schema["const"], value),
        not schema.get("enum") or any(same(listed, value) for listed in schema["enum"]),
        all(deeper(member, value) for member in schema.get("allOf", ())),
        not schema.get("anyOf") or any(deeper(member, value) for member in schema["anyOf"]),
        not schema.get("oneOf") or any(deeper(member, value) for member in schema["oneOf"]),
        not isinstance(value, dict) or allows_object(schema, value, deeper),
        not isinstance(value, list) or allows_array(schema, value, deeper),
        not is_of("number", value) or schema.get("minimum", value) <= value,
    ]
    return all(checks)


Deeper = Callable[[Any, Any], bool]


def allows_object(schema: Any, value: dict[str, Any], deeper: Deeper) -> bool:
    properties = schema.get("properties", {})
    if not set(schema.get("required", ())) <= value.keys():
        return False
    known = all(deeper(properties[name], value[name]) for name in value.keys() & properties.keys())
    if "patternProperties" in schema:
        return known
    rest = schema.get("additionalProperties", True)
    return known and all(deeper(rest, value[name]) for name in value.keys() - properties.keys())


def allows_array(schema: Any, value: list[Any], deeper: Deeper) -> bool:
    items = schema.get("items", True)
    places = items if isinstance(items, list) else schema.get("prefixItems", [])
    rest = True if isinstance(items, list) else items
    least = schema.get("minItems", 0)
    if isinstance(least, int) and len(value) < least:
        return False
    return all(
        deeper(places[place] if place < len(places) else rest, item)
        for place, item in enumerate(value)
    )


def names_of(schema: Any) -> list[str]:
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else list(names)
    return [*names, "null"] if names and schema.get("nullable") is True else names


def is_of(name: str, value: Any) -> bool:
    truth = isinstance(value, bool)
    match name:
        case "integer" | "number":
            return isinstance(value, int) and not truth
        case "boolean":
            return truth
        case "null":
            return value is None
    return isinstance(value, {"string": str, "object": dict, "array": list}[name])


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def target_of(root: Any, reference: str) -> Any:
    found = root
    for step in reference.split("/")[1:]:
        found = found.get(step, True) if isinstance(found, dict) else True
    return found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)


@given(ROOTS, st.lists(VALUES, min_size=5, max_size=10))
@example({"type": "string", "nullable": True, "allOf": [{"nullable": False}]}, [None])
def test_a_cleaned_schema_allows_all_that_the_clients_allows(
    schema: Any, values: list[Any]
) -> None:
    try:
        found = cleaned(schema, newer=True)
    except BadCall:  # a reference that leads to no schema
        return
    for value in values:
        if allows(schema, value, schema):
            assert allows(found, value, found), value
