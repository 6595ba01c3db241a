"""The Responses API as a face: what its clients ask for, in the middle's words."""

import base64
import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    Media,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from adapters.middle.signature import with_signature
from adapters.responses.call import decode_call
from adapters.responses.seal import seal
from tests.unit.responses_wire import LOOK, MCP, PATCH, asked, read

PNG = base64.b64encode(b"\x89PNG").decode()
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def says(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def called(call_id: str = "c1", **fields: Any) -> dict[str, Any]:
    return item("function_call", call_id=call_id, name="look", arguments='{"at":"a"}', **fields)


def output(said: Any = "seen", call_id: str = "c1") -> dict[str, Any]:
    return item("function_call_output", call_id=call_id, output=said)


# --- the call ---------------------------------------------------------------------------------------


def test_a_call_knows_its_face_its_cap_and_that_usage_is_told() -> None:
    call = asked(stream=True, max_output_tokens=9)
    assert (call.face, call.endpoint, call.stream) == ("responses", "chat", True)
    assert (call.output_cap, call.include_usage, call.choices) == (9, True, 1)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"model": None}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"text": "json"}, "text"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"background": True}, "background"),
    ],
)
def test_a_call_that_cannot_be_served_is_refused_by_its_field(
    fields: dict[str, Any], param: str
) -> None:
    body = {"model": "m", "input": "Hi", **fields}
    with pytest.raises(BadCall) as caught:
        decode_call(json.dumps(body).encode())
    assert caught.value.param == param


def test_a_previous_response_is_refused_in_words_that_help() -> None:
    with pytest.raises(BadCall, match=r"stored.*'input'"):
        asked(previous_response_id="resp_1")


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": None, "conversation": None, "prompt": None},
        {"store": True},
        {"store": False},
        {"background": False},
        {"truncation": "auto", "max_tool_calls": 3, "metadata": {"a": "b"}},
        {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
        {"stream_options": {"include_obfuscation": False}},
        {"temperature": None, "tools": None, "reasoning": None, "text": None},
    ],
)
def test_what_changes_nothing_here_is_accepted_and_goes_no_further(fields: dict[str, Any]) -> None:
    assert read(**fields) == read()


# --- wishes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_output_tokens": 7}, "most_tokens", 7),
        ({"temperature": 1}, "temperature", 1.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"user": "u"}, "user", "u"),
        ({"service_tier": "flex"}, "service_tier", "flex"),
        ({"reasoning": {"effort": "high"}}, "thinking", Thinking(effort="high")),
        (
            {"reasoning": {"effort": None, "summary": "auto"}},
            "thinking",
            Thinking(summary="auto"),
        ),
        (
            {"reasoning": {"effort": "low", "generate_summary": "concise"}},
            "thinking",
            Thinking(effort="low", summary="concise"),
        ),
        ({"reasoning": {}}, "thinking", None),
        ({"text": {"format": {"type": "text"}}}, "format", None),
        (
            {"text": {"format": {"type": "json_object"}}},
            "format",
            OutputFormat(kind="json_object"),
        ),
        ({"instructions": "Be kind."}, "system", (Text(text="Be kind."),)),
        ({"parallel_tool_calls": False}, "parallel_calls", None),
        ({"parallel_tool_calls": False, "tools": [LOOK]}, "parallel_calls", False),
    ],
)
def test_a_wish_has_its_place(fields: dict[str, Any], name: str, value: object) -> None:
    assert getattr(read(**fields), name) == value


def test_a_json_schema_keeps_its_name_and_its_strictness() -> None:
    format_ = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
    found = read(text={"format": format_}).format
    assert found is not None
    assert (found.kind, found.name, found.strict) == ("json_schema", "n", True)
    assert json.loads(bytes(found.schema or b"")) == SCHEMA


def test_unknown_fields_and_the_verbosity_are_kept_for_whoever_knows_them() -> None:
    found = read(text={"verbosity": "low"}, prompt_cache_key="k", client_metadata={"a": "b"}).extra
    assert {name: json.loads(bytes(raw)) for name, raw in found.items()} == {
        "verbosity": "low",
        "prompt_cache_key": "k",
        "client_metadata": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format"),
        ({"text": {"format": 3}}, "text.format"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "look"}}, "tool_choice"),
        ({"tools": [LOOK], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [item("web_search")], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [item("file_search", vector_store_ids=["v"])]}, "tools[0]"),
        ({"tools": [LOOK, item("mcp", server_label="s")]}, "tools[1]"),
        ({"tools": [item("code_interpreter")]}, "tools[0]"),
        ({"tools": [item("local_shell")]}, "tools[0]"),
        ({"tools": [item("function")]}, "tools[0]"),
        ({"tools": [{**LOOK, "parameters": {"type": "array"}}]}, "tools[0].parameters"),
        ({"tools": [{**LOOK, "name": 3}]}, "tools[0].name"),
        ({"tools": [{**MCP, "tools": [item("mcp")]}]}, "tools[0].tools[0]"),
    ],
)
def test_a_wish_that_no_model_here_can_fulfil_is_refused_by_its_field(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadCall) as caught:
        read(**fields)
    assert caught.value.param == param


# --- tools ------------------------------------------------------------------------------------------


def test_a_function_keeps_what_it_says() -> None:
    (tool,) = read(tools=[LOOK]).tools
    assert (tool.name, tool.description, tool.strict) == ("look", "Looks.", False)
    assert json.loads(bytes(tool.parameters)) == LOOK["parameters"]


def test_a_function_without_parameters_takes_an_object() -> None:
    (tool,) = read(tools=[item("function", name="now", parameters=None)]).tools
    assert json.loads(bytes(tool.parameters)) == {"type": "object", "properties": {}}


def test_a_custom_tool_is_a_function_of_its_whole_input_and_tells_its_grammar() -> None:
    (tool,) = read(tools=[PATCH]).tools
    schema = json.loads(bytes(tool.parameters))
    assert (tool.name, schema["required"]) == ("apply_patch", ["input"])
    assert "Edits files." in (tool.description or "")
    assert "lark grammar:\nstart: /.+/s" in (tool.description or "")


def test_tools_of_a_namespace_do_not_clash_with_others() -> None:
    names = [tool.name for tool in read(tools=[LOOK, MCP]).tools]
    assert names == ["look", "mcp__files__look"]


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "tool_search"])
def test_hosted_tools_that_agents_offer_by_habit_are_left_out(kind: str) -> None:
    found = read(tools=[item(kind, external_web_access=False), LOOK], tool_choice="auto")
    assert [tool.name for tool in found.tools] == ["look"]
    assert found.tool_choice == ToolChoice("auto")


def test_tools_that_come_as_an_item_are_tools_like_the_others() -> None:
    more = item("additional_tools", role="developer", tools=[PATCH])
    found = read([more, says("user", item("input_text", text="Hi"))], tools=[LOOK])
    assert [tool.name for tool in found.tools] == ["look", "apply_patch"]
    assert len(found.turns) == 1


@pytest.mark.parametrize(
    ("choice", "tools", "wanted"),
    [
        ("auto", ["look", "apply_patch"], ToolChoice("auto")),
        ("none", ["look", "apply_patch"], ToolChoice("none")),
        ("required", ["look", "apply_patch"], ToolChoice("required")),
        (item("function", name="look"), ["look", "apply_patch"], ToolChoice("named", "look")),
        (
            item("custom", name="apply_patch"),
            ["look", "apply_patch"],
            ToolChoice("named", "apply_patch"),
        ),
        (
            item("allowed_tools", mode="required", tools=[item("function", name="look")]),
            ["look"],
            ToolChoice("required"),
        ),
    ],
)
def test_a_tool_choice_has_its_place(choice: Any, tools: list[str], wanted: ToolChoice) -> None:
    found = read(tools=[LOOK, PATCH], tool_choice=choice)
    assert [tool.name for tool in found.tools] == tools
    assert found.tool_choice == wanted


def test_a_choice_without_tools_says_nothing() -> None:
    assert read(tool_choice="auto", tools=[]).tool_choice is None


# --- input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (item("input_text", text="a"), Text(text="a")),
        (item("output_text", text="a", annotations=[]), Text(text="a")),
        (
            item("input_image", image_url=f"data:image/png;base64,{PNG}", detail="low"),
            Media(kind="image", data=PNG, media_type="image/png", detail="low"),
        ),
        (
            item("input_image", image_url="https://a.test/b.png"),
            Media(kind="image", url="https://a.test/b.png"),
        ),
        (item("input_image", file_id="f1"), Media(kind="image", file_id="f1")),
        (
            item("input_file", file_data=f"data:application/pdf;base64,{PNG}", filename="n"),
            Media(kind="file", data=PNG, media_type="application/pdf", name="n"),
        ),
        (
            item("input_file", file_data=PNG),
            Media(kind="file", data=PNG, media_type="application/pdf"),
        ),
        (
            item("input_file", file_url="https://a.test/b.pdf"),
            Media(kind="file", url="https://a.test/b.pdf"),
        ),
        (item("input_file", file_id="f1"), Media(kind="file", file_id="f1")),
        (
            item("input_audio", input_audio={"data": PNG, "format": "mp3"}),
            Media(kind="audio", data=PNG, media_type="audio/mpeg"),
        ),
    ],
)
def test_a_part_of_a_message_is_read(part: dict[str, Any], wanted: Text | Media) -> None:
    assert read([says("user", part)]).turns == (Turn("user", (wanted,)),)


def test_a_text_is_one_turn_of_the_user() -> None:
    assert read("Hi").turns == (Turn("user", (Text(text="Hi"),)),)


def test_the_systems_words_follow_the_instructions_in_order() -> None:
    said = [says("developer", item("input_text", text="b")), {"role": "user", "content": "Hi"}]
    found = read([*said, {"type": "message", "role": "system", "content": "c"}], instructions="a")
    assert [text.text for text in found.system] == ["a", "b", "c"]
    assert found.turns == (Turn("user", (Text(text="Hi"),)),)


def test_what_the_assistant_said_in_a_row_is_one_turn_and_so_are_its_outputs() -> None:
    found = read(
        [
            {"role": "user", "content": "Hi"},
            item("reasoning", id="rs_1", summary=[item("summary_text", text="hm")]),
            {"type": "message", "id": "msg_1", **says("assistant", item("output_text", text="a"))},
            called("c1"),
            called("c2"),
            output("x", "c1"),
            output([item("input_image", image_url=f"data:image/png;base64,{PNG}")], "c2"),
            says("assistant", item("refusal", refusal="no")),
        ]
    )
    look = ToolCall(id="c1", name="look", arguments='{"at":"a"}')
    image = Media(kind="image", data=PNG, media_type="image/png")
    assert found.turns == (
        Turn("user", (Text(text="Hi"),)),
        Turn(
            "assistant",
            (
                Reasoning(text="hm", id="rs_1"),
                Text(text="a"),
                look,
                msgspec.structs.replace(look, id="c2"),
            ),
        ),
        Turn(
            "user",
            (
                ToolResult(call_id="c1", name="look", parts=(Text(text="x"),)),
                ToolResult(call_id="c2", name="look", parts=(image,)),
            ),
        ),
        Turn("assistant", (Refusal(text="no"),)),
    )


def test_a_calls_signature_comes_back_out_of_its_id() -> None:
    known = with_signature("c1", "sig")
    (turn, result) = read([called(known), output("x", known)]).turns
    assert turn.parts == (ToolCall(id="c1", name="look", arguments='{"at":"a"}', signature="sig"),)
    assert result.parts == (ToolResult(call_id="c1", name="look", parts=(Text(text="x"),)),)


def test_calls_of_custom_tools_and_of_namespaces_go_back_under_the_names_they_were_offered() -> (
    None
):
    custom = item("custom_tool_call", call_id="c1", name="apply_patch", input='say "a"\n')
    custom_output = item("custom_tool_call_output", call_id="c1", output="done")
    turns = read([custom, custom_output, called("c2", namespace="mcp__files"), output("x", "c2")])
    parts = [turn.parts[0] for turn in turns.turns]
    patch, done, look, seen = parts
    assert isinstance(patch, ToolCall)
    assert json.loads(patch.arguments) == {"input": 'say "a"\n'}
    assert isinstance(done, ToolResult)
    assert isinstance(look, ToolCall)
    assert isinstance(seen, ToolResult)
    assert [patch.name, done.name] == ["apply_patch"] * 2
    assert [look.name, seen.name] == ["mcp__files__look"] * 2


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"summary": [item("summary_text", text="a"), item("summary_text", text="b")]}, "a\n\nb"),
        ({"summary": [], "content": [item("reasoning_text", text="c")]}, "c"),
        ({"summary": [item("summary_text", text="a")], "content": None}, "a"),
    ],
)
def test_reasoning_is_read_from_its_summary_or_its_content(
    fields: dict[str, Any], wanted: str
) -> None:
    (turn,) = read([item("reasoning", id="rs", **fields)]).turns
    assert turn.parts == (Reasoning(text=wanted, id="rs"),)


@pytest.mark.parametrize(
    "reasoning",
    [
        Reasoning(text="hm", signature="sig"),
        Reasoning(signature="gemini:sig"),
        Reasoning(redacted="data"),
        Reasoning(redacted="data", signature="sig"),
        Reasoning(redacted=""),
    ],
)
def test_sealed_reasoning_comes_back_as_it_was(reasoning: Reasoning) -> None:
    summary = [item("summary_text", text=reasoning.text)] if reasoning.text else []
    sent_back = item("reasoning", summary=summary, encrypted_content=seal(reasoning))
    (turn,) = read([sent_back]).turns
    assert turn.parts == (reasoning,)


@pytest.mark.parametrize("sealed", ["gAAAAABo", "thought1_!", "thought1_e30x", "thought1_ü", None])
def test_reasoning_sealed_elsewhere_is_dropped_but_for_its_words(sealed: str | None) -> None:
    thought = item("reasoning", summary=[], encrypted_content=sealed)
    user = {"role": "user", "content": "Hi"}
    assert read([thought, user]).turns == read([user]).turns
    thought["summary"] = [item("summary_text", text="hm")]
    assert read([thought, user]).turns[0].parts == (Reasoning(text="hm"),)


def test_traces_of_tools_that_are_left_out_are_passed_over() -> None:
    search = item("web_search_call", id="ws", status="completed", action={"type": "search"})
    user = {"role": "user", "content": "Hi"}
    assert read([user, search]).turns == read([user]).turns


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (item("item_reference", id="rs_1"), "input[0]"),
        (item("computer_call", call_id="c", action={}), "input[0]"),
        (item("compaction", encrypted_content="x"), "input[0]"),
        ({"role": "tool", "content": "x"}, "input[0].role"),
        ({"role": "user", "content": 3}, "input[0].content"),
        (says("user", item("input_video")), "input[0].content[0]"),
        (says("user", item("input_image")), "input[0].content[0]"),
        (says("user", item("input_image", image_url="b.png")), "input[0].content[0].image_url"),
        (says("user", item("input_file", filename="n")), "input[0].content[0]"),
        (says("system", item("input_image", file_id="f")), "input[0].content"),
        (says("assistant", item("input_image", file_id="f")), "input[0].content"),
        (item("function_call", name="look"), "input[0]"),
        (item("function_call", name="look", call_id="c", arguments={}), "input[0].arguments"),
        (output("x"), "input[0].call_id"),
        ({"role": 3}, "input[0].role"),
    ],
)
def test_an_item_that_cannot_be_read_is_refused_by_its_place(
    bad: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadCall) as caught:
        read([bad, {"role": "user", "content": "Hi"}])
    assert caught.value.param == param
    assert param in caught.value.message


def test_an_input_of_the_systems_words_alone_is_refused() -> None:
    with pytest.raises(BadCall, match="more than the system's"):
        read([{"role": "system", "content": "a"}])
