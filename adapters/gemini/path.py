"""Where a request goes: Gemini has the model and the method in the path, not in the body.

A provider's path for chat has two places to fill in, such as `/v1beta/models/{model}:{method}`; on Vertex AI
`/publishers/google/models/{model}:{method}` below an address that names project and location. A stream asks
for server-sent events, for without that its body would be one long JSON array.
"""

from typing import Final
from urllib.parse import quote

_MODEL: Final = b"{model}"
_METHOD: Final = b"{method}"
_KEPT: Final = "@"  # Vertex AI marks versions with it, and a path may hold it


def with_model(path: bytes, model: str) -> bytes:
    """Fill in the model, whose name may come with or without Google's prefix `models/`."""
    return path.replace(_MODEL, quote(model.removeprefix("models/"), safe=_KEPT).encode())


def chat_path(path: bytes, model: str, *, stream: bool) -> bytes:
    """Fill in the model and the method for a chat."""
    filled = with_model(path, model)
    if not stream:
        return filled.replace(_METHOD, b"generateContent")
    filled = filled.replace(_METHOD, b"streamGenerateContent")
    return filled + (b"&" if b"?" in filled else b"?") + b"alt=sse"
