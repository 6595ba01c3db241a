"""What the rows of wishes have in common: a tool in the words of each face, an image, and who says what."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.dialect import FaceName
from tests.features.outcomes import Said
from tests.simulated.dialect_world import PNG

Fields = dict[str, Any]

CITY: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
IMAGE_URL: Final = "https://images.example/cat.png"
PNG_URL: Final = f"data:image/png;base64,{PNG}"
CALL_ID: Final = "callabc01"  # of nine letters and digits, which is what Mistral takes


def asked(*content: Fields) -> list[Fields]:
    return [{"role": "user", "content": list(content)}]


CHAT_TOOL: Final[Fields] = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather.", "parameters": CITY},
}
RESPONSES_TOOL: Final[Fields] = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather.",
    "parameters": CITY,
    "strict": False,
}
MESSAGES_TOOL: Final[Fields] = {
    "name": "get_weather",
    "description": "Weather.",
    "input_schema": CITY,
}
TOOLS: Final[Mapping[FaceName, Fields]] = {
    "chat": {"tools": [CHAT_TOOL]},
    "responses": {"tools": [RESPONSES_TOOL]},
    "messages": {"tools": [MESSAGES_TOOL]},
}


def image_block(source: Fields) -> Fields:
    return {"type": "image", "source": source}


BASE64_PNG: Final = {"type": "base64", "media_type": "image/png", "data": PNG}
CHAT_IMAGE: Final = {"type": "image_url", "image_url": {"url": PNG_URL}}
RESPONSES_IMAGE: Final = {"type": "input_image", "detail": "auto", "image_url": PNG_URL}


def openai_says(*content: Fields) -> Said:
    return Said({"messages": asked(*content)})
