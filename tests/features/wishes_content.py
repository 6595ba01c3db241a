"""Rows of what a conversation holds: who says it, images, files and sounds, marks for the cache."""

from typing import Final

from tests.features.asking import (
    BASE64_PNG,
    CHAT_IMAGE,
    IMAGE_URL,
    RESPONSES_IMAGE,
    Fields,
    asked,
    image_block,
    openai_says,
)
from tests.features.outcomes import DROPPED, REFUSED, Outcome, Said
from tests.features.rows import Wish
from tests.simulated.dialect_world import PNG

_PDF: Final = "JVBERi0xLjQK"
_WAV: Final = "UklGRgAAAABXQVZF"


def _gemini_says(*parts: Fields) -> Said:
    return Said({"contents": [{"role": "user", "parts": list(parts)}]})


_BEDROCKS_PNG: Final = Said(
    {"messages": asked({"image": {"format": "png", "source": {"bytes": PNG}}})}
)
_SYSTEM: Final[dict[str, Outcome]] = {
    "openai": Said({"messages": [{"role": "system", "content": "Be brief."}]}),
    "anthropic": Said({"system": [{"type": "text", "text": "Be brief."}]}),
    "gemini": Said({"systemInstruction": {"parts": [{"text": "Be brief."}]}}),
    "bedrock": Said({"system": [{"text": "Be brief."}]}),
    "cohere": Said({"messages": [{"role": "system", "content": "Be brief."}]}),
}

_BEGUN_TEXT: Final = {"type": "text", "text": "Good d"}
_BEGUN: Final = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good d"}]

CONTENT: Final = (
    Wish(
        "system",
        "System's instructions",
        said={
            "chat": {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
            "responses": {"instructions": "Be brief."},
            "messages": {"system": [{"type": "text", "text": "Be brief."}]},
        },
        found=_SYSTEM,
    ),
    Wish(
        "developer",
        "Role `developer`",
        said={
            "chat": {
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
            "responses": {
                "input": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
        },
        found={
            "mistral": _SYSTEM["openai"],
            "deepseek": _SYSTEM["openai"],
            **_SYSTEM,
            "chat/openai": Said({"messages": [{"role": "developer", "content": "Be brief."}]}),
        },
    ),
    Wish(
        "image-data",
        "Vision: images by their bytes",
        said={
            "chat": {"messages": asked(CHAT_IMAGE)},
            "responses": {"input": asked(RESPONSES_IMAGE)},
            "messages": {"messages": asked(image_block(BASE64_PNG))},
        },
        found={
            "deepseek": REFUSED,
            "openai": openai_says(CHAT_IMAGE),
            "anthropic": Said({"messages": asked(image_block(BASE64_PNG))}),
            "gemini": _gemini_says({"inlineData": {"mimeType": "image/png", "data": PNG}}),
            "bedrock": _BEDROCKS_PNG,
            "cohere": openai_says(CHAT_IMAGE),
        },
    ),
    Wish(
        "image-url",
        "Vision: images by address",
        said={
            "chat": {"messages": asked({"type": "image_url", "image_url": {"url": IMAGE_URL}})},
            "responses": {
                "input": asked({"type": "input_image", "detail": "auto", "image_url": IMAGE_URL})
            },
            "messages": {"messages": asked(image_block({"type": "url", "url": IMAGE_URL}))},
        },
        found={
            "deepseek": REFUSED,
            "openai": openai_says({"type": "image_url", "image_url": {"url": IMAGE_URL}}),
            "anthropic": Said({"messages": asked(image_block({"type": "url", "url": IMAGE_URL}))}),
            "gemini": _gemini_says({"fileData": {"mimeType": "image/png", "fileUri": IMAGE_URL}}),
            "bedrock": _BEDROCKS_PNG,
            "cohere": openai_says({"type": "image_url", "image_url": {"url": IMAGE_URL}}),
        },
    ),
    Wish(
        "file",
        "Files (PDF)",
        said={
            "chat": {
                "messages": asked(
                    {
                        "type": "file",
                        "file": {
                            "filename": "paper.pdf",
                            "file_data": f"data:application/pdf;base64,{_PDF}",
                        },
                    }
                )
            },
            "responses": {
                "input": asked(
                    {
                        "type": "input_file",
                        "filename": "paper.pdf",
                        "file_data": f"data:application/pdf;base64,{_PDF}",
                    }
                )
            },
            "messages": {
                "messages": asked(
                    {
                        "type": "document",
                        "title": "paper.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": _PDF,
                        },
                    }
                )
            },
        },
        found={
            "deepseek": REFUSED,
            "openai": openai_says(
                {
                    "type": "file",
                    "file": {
                        "filename": "paper.pdf",
                        "file_data": f"data:application/pdf;base64,{_PDF}",
                    },
                }
            ),
            "anthropic": Said(
                {
                    "messages": asked(
                        {
                            "type": "document",
                            "title": "paper.pdf",
                            "source": {"type": "base64", "data": _PDF},
                        }
                    )
                }
            ),
            "gemini": _gemini_says({"inlineData": {"mimeType": "application/pdf", "data": _PDF}}),
            "bedrock": Said(
                {
                    "messages": asked(
                        {
                            "document": {
                                "format": "pdf",
                                "name": "paper",
                                "source": {"bytes": _PDF},
                            }
                        }
                    )
                }
            ),
            "cohere": REFUSED,
        },
    ),
    Wish(
        "audio",
        "Sound",
        said={
            "chat": {
                "messages": asked(
                    {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
                )
            },
            "responses": {
                "input": asked(
                    {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
                )
            },
        },
        found={
            "deepseek": REFUSED,
            "openai": openai_says(
                {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
            ),
            "anthropic": REFUSED,
            "gemini": _gemini_says({"inlineData": {"mimeType": "audio/wav", "data": _WAV}}),
            "bedrock": Said(
                {"messages": asked({"audio": {"format": "wav", "source": {"bytes": _WAV}}})}
            ),
            "cohere": REFUSED,
        },
    ),
    Wish(
        "audio-output",
        "An answer in sound",
        said={
            "chat": {
                "modalities": ["text", "audio"],
                "audio": {"voice": "alloy", "format": "wav"},
            }
        },
        found={
            "openai": Said({"audio": {"voice": "alloy", "format": "wav"}}),
            "anthropic": REFUSED,
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "prefill",
        "An answer that the client has begun",
        said={
            "chat": {"messages": _BEGUN},
            "responses": {"input": _BEGUN},
            "messages": {"messages": _BEGUN},
        },
        found={
            "openai": Said({"messages": [{"role": "assistant", "content": "Good d"}]}),
            "anthropic": Said({"messages": [{"role": "assistant", "content": [_BEGUN_TEXT]}]}),
            "messages/anthropic": Said({"messages": _BEGUN}),
            "gemini": Said({"contents": [{"role": "model", "parts": [{"text": "Good d"}]}]}),
            "bedrock": Said({"messages": [{"role": "assistant", "content": [{"text": "Good d"}]}]}),
            "cohere": Said({"messages": [{"role": "assistant", "content": [_BEGUN_TEXT]}]}),
        },
    ),
    Wish(
        "cache-marks",
        "Marks for the cache",
        beside={
            "chat": {"messages": asked({"type": "text", "text": "Hi"})},
            "messages": {"messages": asked({"type": "text", "text": "Hi"})},
        },
        said={
            face: {
                "messages": asked(
                    {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
                )
            }
            for face in ("chat", "messages")
        },
        found={
            "openai": DROPPED,
            "chat/openai": openai_says({"cache_control": {"type": "ephemeral"}}),
            "anthropic": Said({"messages": asked({"cache_control": {"type": "ephemeral"}})}),
            "gemini": DROPPED,
            "bedrock": Said({"messages": asked({"cachePoint": {"type": "default"}})}),
            "cohere": DROPPED,
        },
    ),
)
