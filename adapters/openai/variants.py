"""The variants of OpenAI's dialect that are known, each from its provider's own API reference.

Mistral refuses every field that it does not know, in requests and in messages. DeepSeek passes over them, so
that a limit under OpenAI's newer name would not hold, and wants its reasoning back once functions were
called.
"""

from typing import Final

from adapters.openai.variant import Variant

MISTRAL: Final = Variant(
    renamed={
        "max_completion_tokens": "max_tokens",
        "seed": "random_seed",
        "dimensions": "output_dimension",
    },
    dropped=frozenset(
        {
            "logit_bias",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "store",
            "stream_options",
            "user",
            "verbosity",
        }
    ),
    refused={
        "logprobs": "This model tells no log probabilities.",
        "top_logprobs": "This model tells no log probabilities.",
    },
    roles={"developer": "system"},
    message_fields={
        "system": frozenset({"role", "content"}),
        "user": frozenset({"role", "content"}),
        "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
        "tool": frozenset({"role", "content", "tool_call_id", "name"}),
    },
    short_call_ids=True,
    highest_temperature=1.5,
    answers_in_parts=True,
)

DEEPSEEK: Final = Variant(
    renamed={"max_completion_tokens": "max_tokens"},
    roles={"developer": "system"},
    text_only=True,
    schemas_in_words=True,
    one_choice=True,
    wants_thoughts=True,
)
