"""Token counts in Anthropic's form: the input in three parts, of which none contains another.

What a `cache_control` marks, up to the last mark, is written to the cache, unless the behaviour says
that it was read from there. Counting itself is the same as in every dialect.
"""

from collections.abc import Iterator
from typing import Any

from router.simulator.anthropic.blocks import AnyBlock, CacheControl, Markable, TextBlock
from router.simulator.anthropic.content import Reply, chat_fields
from router.simulator.anthropic.fields import Prompt
from router.simulator.usage import Usage, chat_prompt_tokens, text_tokens


def input_usage(fields: Prompt, *, cached: int) -> Usage:
    """The counts of the prompt, of which at most `cached` tokens were read from the cache."""
    total = prompt_tokens(fields)
    read = min(cached, total)
    marked, mark = _marked(fields, total)
    written = max(marked - read, 0)
    longer = mark is not None and mark.ttl == "1h"
    return {
        "input_tokens": total - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 0 if longer else written,
            "ephemeral_1h_input_tokens": written if longer else 0,
        },
    }


def output_usage(reply: Reply) -> Usage:
    """The counts of the answer."""
    thought = len(reply.choice.thoughts)
    details = {"output_tokens_details": {"thinking_tokens": thought}} if thought else {}
    return {"output_tokens": reply.choice.produced, **details}


def prompt_tokens(fields: Prompt) -> int:
    """What the messages and the system's text count."""
    return chat_prompt_tokens(chat_fields(fields))


def _marked(fields: Prompt, total: int) -> tuple[int, CacheControl | None]:
    """How many tokens stand before the last mark, and the mark."""
    if fields.cache_control is not None:
        return total, fields.cache_control
    counted, marked, last = 0, 0, None
    for tokens, mark in _counted(fields):
        counted += tokens
        if mark is not None:
            marked, last = counted, mark
    return min(marked, total), last


def _counted(fields: Prompt) -> Iterator[tuple[int, CacheControl | None]]:
    """The tokens of each thing that can be marked, in the order of the prompt."""
    yield from ((0, tool.cache_control) for tool in fields.tools)
    if isinstance(fields.system, str):
        yield 4 + text_tokens(fields.system), None
    else:
        yield 4, None
        yield from (_block(block) for block in fields.system)
    for message in fields.messages:
        yield 4, None
        content: Any = message.content
        if isinstance(content, str):
            yield text_tokens(content), None
        else:
            yield from (_block(block) for block in content)


def _block(block: AnyBlock) -> tuple[int, CacheControl | None]:
    tokens = text_tokens(block.text) if isinstance(block, TextBlock) else 85
    return tokens, block.cache_control if isinstance(block, Markable) else None
