"""What the simulated provider says: words a person recognises as the answer to their own.

It names itself, so that nobody takes the demo for a model, and quotes what it was asked, so that
one sees the request arrived whole. Pictures cannot be seen here, only counted and measured.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from router.simulator.fields import Input, Message

QUOTED_CHARACTERS: Final = 80
_DATA_URL: Final = re.compile(r"data:(?P<media>[^;,]{0,200})(?P<parameters>[^,]{0,400}),")
_CLOSINGS: Final = (
    "Point the gateway at a real provider for a real answer.",
    "No model was asked, and nothing was billed.",
    "The same question always gets this same answer.",
    "Everything else about this exchange is real: the socket, the headers, the stream.",
    "Ask for a fault with the field simulate and see what your client does.",
)


def text_of(content: str | list[dict[str, Any]] | None) -> str:
    """The text of a message, its text parts joined by line feeds."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(
        str(part["text"]) for part in content if part.get("type") == "text" and "text" in part
    )


def image_urls(messages: Sequence[Message]) -> Iterator[str]:
    """The URL of every image part, in order, whether written as an object or as a plain string."""
    for message in messages:
        for part in message.content if isinstance(message.content, list) else ():
            if part.get("type") == "image_url":
                image = part.get("image_url")
                yield str(image.get("url", "")) if isinstance(image, dict) else str(image)


def chat_reply(model: str, messages: Sequence[Message], *, key: bytes, index: int) -> str:
    """The answer's text for choice `index`; `key` picks among the closing sentences."""
    sentences = [_greeting(model), _quotation(messages), *_pictures(list(image_urls(messages)))]
    return " ".join([*sentences, _closing(key, index)])


def completion_reply(model: str, prompt: Input, *, key: bytes, index: int) -> str:
    """The text that continues a legacy prompt."""
    said = quote(prompt) if isinstance(prompt, str) else f"{len(prompt)} tokens"
    return " ".join([_greeting(model), f"Your prompt was {said}.", _closing(key, index)])


def quote(text: str) -> str:
    """The text in quotation marks, on one line and shortened at the end."""
    line = " ".join(text.split())
    if len(line) > QUOTED_CHARACTERS:
        line = line[:QUOTED_CHARACTERS].rstrip() + "…"
    return f"“{line}”"


def _greeting(model: str) -> str:
    return f"Hello from the simulated provider, answering as {model}."


def _closing(key: bytes, index: int) -> str:
    return _CLOSINGS[(key[0] + index) % len(_CLOSINGS)]


def _quotation(messages: Sequence[Message]) -> str:
    if messages[-1].role in {"tool", "function"}:
        return f"The tool answered {quote(text_of(messages[-1].content))}."
    asked = next((text_of(one.content) for one in reversed(messages) if one.role == "user"), "")
    return f"You wrote {quote(asked)}." if asked.strip() else "You wrote nothing."


def _pictures(urls: Sequence[str]) -> Iterator[str]:
    if not urls:
        return
    number = "1 image" if len(urls) == 1 else f"{len(urls)} images"
    yield f"I received {number}: {', '.join(map(_picture, urls))}."


def _picture(url: str) -> str:
    # Only the start is searched: such a URL may hold twenty megabytes.
    if found := _DATA_URL.match(url):
        return f"a data URL ({found['media'] or 'text/plain'}, {_data_bytes(url, found)} bytes)"
    return "a URL"


def _data_bytes(url: str, found: re.Match[str]) -> int:
    characters = len(url) - found.end()
    if not found["parameters"].endswith(";base64"):
        return characters
    padding = url.endswith("=") + url.endswith("==")
    return max(characters * 3 // 4 - padding, 0)
