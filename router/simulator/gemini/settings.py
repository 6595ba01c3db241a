"""The rules of everything but the conversation: functions, the answer's form, thinking.

Source: Google's API reference, and the messages of the real service.
"""

import re
from typing import Final

from router.simulator.gemini.error import invalid
from router.simulator.gemini.fields import (
    FunctionDeclaration,
    GenerateFields,
    GenerationConfig,
    ThinkingConfig,
)
from router.simulator.gemini.model import generation_of
from router.simulator.gemini.schema import check_json_schema, check_schema

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_NAME_RULE: Final = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, "
    "A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
)
_BUDGETS: Final = {"pro": (128, 32_768), "lite": (512, 24_576), "flash": (1, 24_576)}


def check_settings(fields: GenerateFields, model: str) -> None:
    """Raise Refusal for settings that break a rule."""
    _check_functions(fields)
    _check_tool_config(fields)
    config = fields.generation_config
    _check_form(config)
    is_json = config.response_mime_type == "application/json"
    if is_json and fields.functions and generation_of(model) < 3:
        told = "Function calling with a response mime type: 'application/json' is unsupported"
        raise invalid(told)
    if config.thinking_config is not None:
        _check_thinking(config.thinking_config, model)


def _check_functions(fields: GenerateFields) -> None:
    seen: set[str] = set()
    for number, function in enumerate(fields.functions):
        place = f"tools[0].function_declarations[{number}]"
        if not _NAME.fullmatch(function.name):
            raise invalid(f"* GenerateContentRequest.{place}.name: {_NAME_RULE}")
        if function.name in seen:
            raise invalid(f"Duplicate function declaration found: {function.name}")
        seen.add(function.name)
        _check_parameters(function, place)


def _check_parameters(function: FunctionDeclaration, place: str) -> None:
    if function.parameters is not None and function.parameters_json_schema is not None:
        told = "parameters and parameters_json_schema are mutually exclusive"
        raise invalid(f"{place}: {told}")
    if function.parameters is not None:
        check_schema(function.parameters, f"{place}.parameters")
        if str(function.parameters.get("type")).upper() != "OBJECT":
            raise invalid(f"{place}.parameters.type: should be OBJECT")
    schema = function.parameters_json_schema
    if schema is not None:
        check_json_schema(schema, f"{place}.parameters_json_schema")
        if schema.get("type") != "object":
            raise invalid(f"{place}.parameters_json_schema: must describe an object")


def _check_tool_config(fields: GenerateFields) -> None:
    if fields.tool_config is None or fields.tool_config.function_calling_config is None:
        return
    config = fields.tool_config.function_calling_config
    names = {function.name for function in fields.functions}
    if not names:
        raise invalid("Function calling config is set without function_declarations.")
    if config.allowed_function_names and config.mode not in {"ANY", "VALIDATED"}:
        told = "should only be set when the function calling mode is ANY or VALIDATED"
        raise invalid(f"allowed_function_names {told}")
    for name in config.allowed_function_names:
        if name not in names:
            told = "contains a name that is not in function_declarations"
            raise invalid(f"allowed_function_names {told}: {name}")


def _check_form(config: GenerationConfig) -> None:
    own, general = config.response_schema, config.response_json_schema
    place = "generation_config.response_schema"
    if own is not None and general is not None:
        raise invalid(f"{place} and response_json_schema are mutually exclusive")
    if (own is not None or general is not None) and config.response_mime_type == "text/plain":
        raise invalid(f"{place}: only supported when the response mime type is application/json")
    if own is not None:
        check_schema(own, place)
    if general is not None:
        check_json_schema(general, "generation_config.response_json_schema")
    if config.logprobs is not None and not config.response_logprobs:
        raise invalid("generation_config.logprobs: only valid if response_logprobs is true")


def _check_thinking(config: ThinkingConfig, model: str) -> None:
    generation = generation_of(model)
    budget, level = config.thinking_budget, config.thinking_level
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if generation < 2.5:
        raise invalid("Thinking is not supported for this model.")
    if level is not None and generation < 3:
        raise invalid("Thinking level is not supported for this model.")
    if level == "MINIMAL" and "pro" in model:
        raise invalid("Thinking level MINIMAL is not supported for this model.")
    if budget is None or generation >= 3 or budget == -1:
        return
    size = next((size for size in ("lite", "flash") if size in model), "pro")
    least, most = _BUDGETS[size]
    if budget == 0 and size == "pro":
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")
    if budget != 0 and not least <= budget <= most:
        told = f"Please use a budget in the range {least} to {most}"
        raise invalid(f"The thinking budget {budget} is invalid. {told}.")
