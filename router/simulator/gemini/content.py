"""What is answered to a Gemini request: the same as to an OpenAI one that says the same.

The request is put into the fields from which answers are made, so prose, calls and forms of answers
follow one set of rules in every dialect.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from router.simulator import fields as openai
from router.simulator.choices import Choice, chat_choices, echoed, prefill_of
from router.simulator.circumstances import Circumstances
from router.simulator.gemini.error import invalid
from router.simulator.gemini.fields import Content, GenerateFields, Part
from router.simulator.gemini.model import thinks_unasked
from router.simulator.thoughts import thoughts_on


def choices_for(fields: GenerateFields, model: str, around: Circumstances) -> list[Choice]:
    """Make up the candidates. Raises Refusal where the provider takes no beginning of an answer."""
    asked = chat_fields(fields, model)
    prefill = prefill_of(asked)
    if prefill is not None and around.prefill == "refuse":
        told = "Please ensure that multiturn requests end with a user role or a function response."
        raise invalid(told)
    thoughts = thoughts_on(asked) if _thinks(fields, model) else []
    limit = fields.generation_config.max_output_tokens
    if limit is not None:
        thoughts = thoughts[:limit]
        if limit == len(thoughts):
            return [Choice(index, [], "length", thoughts=thoughts) for index in range(asked.n or 1)]
        asked = msgspec.structs.replace(asked, max_tokens=limit - len(thoughts))
    choices = chat_choices(asked, tokens=around.tokens)
    if prefill is not None and around.prefill == "echo":
        choices = [echoed(choice, asked) for choice in choices]
    return [msgspec.structs.replace(choice, thoughts=thoughts) for choice in choices]


def chat_fields(fields: GenerateFields, model: str) -> openai.ChatFields:
    """The request as the fields from which answers are made, without any limit."""
    config = fields.generation_config
    return openai.ChatFields(
        model=model,
        messages=[*_system(fields), *(one for said in fields.contents for one in _messages(said))],
        tools=[
            openai.Tool("function", openai.Function(one.name, _parameters(one)))
            for one in _offered(fields)
        ]
        or None,
        tool_choice=_tool_choice(fields),
        n=config.candidate_count,
        stop=config.stop_sequences,
        seed=config.seed,
        response_format=_form(fields),
    )


def _offered(fields: GenerateFields) -> list[Any]:
    config = fields.tool_config and fields.tool_config.function_calling_config
    allowed = config.allowed_function_names if config else []
    return [one for one in fields.functions if not allowed or one.name in allowed]


def _parameters(function: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a declaration
    found = function.parameters_json_schema or function.parameters
    return lowered(found) if isinstance(found, dict) else None


def lowered(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """A schema with its types in JSON Schema's own small letters."""
    if isinstance(schema, list):
        return [lowered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else lowered(value)
        for name, value in schema.items()
    }


def _form(fields: GenerateFields) -> dict[str, Any] | None:
    config = fields.generation_config
    if config.response_mime_type != "application/json":
        return None
    schema = config.response_json_schema or config.response_schema
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"schema": lowered(schema)}}


def _tool_choice(fields: GenerateFields) -> str | None:
    config = fields.tool_config and fields.tool_config.function_calling_config
    if not config:
        return None
    return {"ANY": "required", "NONE": "none"}.get(config.mode)


def _thinks(fields: GenerateFields, model: str) -> bool:
    config = fields.generation_config.thinking_config
    if config is None:
        return thinks_unasked(model)
    if config.thinking_level is not None:
        return config.thinking_level != "MINIMAL"
    if config.thinking_budget is not None:
        return config.thinking_budget != 0
    return thinks_unasked(model)


def _system(fields: GenerateFields) -> Iterator[openai.Message]:
    if fields.system_instruction is not None:
        yield openai.Message("system", _content(fields.system_instruction.parts))


def _messages(content: Content) -> Iterator[openai.Message]:
    """One message of the model; or the answers of functions, each its own, then the user's words."""
    if content.role == "model":
        calls = [{"name": part.function_call.name} for part in content.parts if part.function_call]
        yield openai.Message("assistant", _content(content.parts), calls or None)
        return
    for part in content.parts:
        if part.function_response is not None:
            yield openai.Message("tool", _answered(part.function_response.response))
    rest = [part for part in content.parts if part.function_response is None]
    if rest:
        yield openai.Message("user", _content(rest))


def _answered(response: dict[str, Any]) -> str:
    """A text that stands alone is meant as it is; anything else is shown as JSON."""
    values = list(response.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return msgspec.json.encode(response).decode()


def _content(parts: list[Part]) -> str | list[dict[str, Any]]:
    """Parts as they are for the prose, a single text as the text itself."""
    said = [found for part in parts if (found := _part(part)) is not None]
    if not said:
        return ""
    if len(said) == 1 and said[0]["type"] == "text":
        return str(said[0]["text"])
    return said


def _part(part: Part) -> dict[str, Any] | None:
    if part.text and not part.thought:
        return {"type": "text", "text": part.text}
    if part.inline_data is not None:
        return _media(
            part.inline_data.mime_type,
            f"data:{part.inline_data.mime_type};base64,{part.inline_data.data}",
        )
    if part.file_data is not None:
        return _media(part.file_data.mime_type or "image/*", part.file_data.file_uri)
    return None


def _media(mime_type: str, url: str) -> dict[str, Any]:
    if mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "text", "text": f"[a file of type {mime_type}]"}
