"""Token counts, by a rule simple enough to check by hand.

A text counts one token for every four characters it has started; every message four more, as real
chat formats spend a few on the role; every image 85, the price of a small one. What was produced
counts as produced: one token for each piece of text or arguments.
"""

from collections.abc import Sequence
from typing import Any

from router.simulator.choices import Choice
from router.simulator.fields import ChatFields, Input
from router.simulator.prose import image_urls, text_of

Usage = dict[str, Any]


def text_tokens(text: str) -> int:
    """A quarter of the characters, rounded up."""
    return -(-len(text) // 4)


def input_tokens(value: Input) -> int:
    """The count of a text, or the length of a list of token numbers."""
    return text_tokens(value) if isinstance(value, str) else len(value)


def chat_prompt_tokens(fields: ChatFields) -> int:
    """What the messages of a chat request count."""
    texts = sum(4 + text_tokens(text_of(message.content)) for message in fields.messages)
    return texts + 85 * sum(1 for _ in image_urls(fields.messages))


def completion_usage(prompt_tokens: int, choices: Sequence[Choice], *, cached: int = 0) -> Usage:
    """The usage object of chat and legacy answers; `cached` tokens of the prompt, at most all."""
    produced = sum(choice.produced for choice in choices)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": produced,
        "total_tokens": prompt_tokens + produced,
        "prompt_tokens_details": {"cached_tokens": min(cached, prompt_tokens), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
