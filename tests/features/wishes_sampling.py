"""Rows of how an answer is made: its cap, sampling, several at once, and what nobody knows."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.dialect import FaceName
from tests.features.asking import Fields
from tests.features.outcomes import DROPPED, REFUSED, Said
from tests.features.rows import Wish


def _everywhere(**fields: Any) -> Mapping[FaceName, Fields]:
    return {"chat": fields, "responses": fields, "messages": fields}


def _config(**fields: Any) -> Said:
    return Said({"generationConfig": fields})


def _inference(**fields: Any) -> Said:
    return Said({"inferenceConfig": fields})


SAMPLING: Final = (
    Wish(
        "most-tokens",
        "Cap on the answer's tokens",
        said={
            "chat": {"max_completion_tokens": 300},
            "responses": {"max_output_tokens": 300},
            "messages": {"max_tokens": 300},
        },
        found={
            "mistral": Said({"max_tokens": 300}),
            "deepseek": Said({"max_tokens": 300}),
            "openai": Said({"max_tokens": 300}),
            "responses/openai/openai": Said({"max_completion_tokens": 300}),
            "messages/openai/openai": Said({"max_completion_tokens": 300}),
            "chat/openai": Said({"max_completion_tokens": 300}),
            "anthropic": Said({"max_tokens": 300}),
            "gemini": _config(maxOutputTokens=300),
            "bedrock": _inference(maxTokens=300),
            "cohere": Said({"max_tokens": 300}),
        },
    ),
    Wish(
        "temperature",
        "Temperature",
        said=_everywhere(temperature=0.5),
        found={
            "openai": Said({"temperature": 0.5}),
            "anthropic": Said({"temperature": 0.5}),
            "gemini": _config(temperature=0.5),
            "bedrock": _inference(temperature=0.5),
            "cohere": Said({"temperature": 0.5}),
        },
    ),
    Wish(
        "top-p",
        "`top_p`",
        said=_everywhere(top_p=0.9),
        found={
            "openai": Said({"top_p": 0.9}),
            "anthropic": Said({"top_p": 0.9}),
            "gemini": _config(topP=0.9),
            "bedrock": _inference(topP=0.9),
            "cohere": Said({"p": 0.9}),
        },
    ),
    Wish(
        "top-k",
        "`top_k`",
        said={"chat": {"top_k": 40}, "messages": {"top_k": 40}},
        found={
            "openai": DROPPED,
            "chat/openai": Said({"top_k": 40}),
            "anthropic": Said({"top_k": 40}),
            "gemini": _config(topK=40),
            "bedrock": Said({"additionalModelRequestFields": {"top_k": 40}}),
            "cohere": Said({"k": 40}),
        },
    ),
    Wish(
        "stop",
        "Texts to stop at",
        said={"chat": {"stop": ["END"]}, "messages": {"stop_sequences": ["END"]}},
        found={
            "openai": Said({"stop": ["END"]}),
            "anthropic": Said({"stop_sequences": ["END"]}),
            "gemini": _config(stopSequences=["END"]),
            "bedrock": _inference(stopSequences=["END"]),
            "cohere": Said({"stop_sequences": ["END"]}),
        },
    ),
    Wish(
        "seed",
        "Seed",
        said={"chat": {"seed": 7}},
        found={
            "mistral": Said({"random_seed": 7}),
            "openai": Said({"seed": 7}),
            "anthropic": DROPPED,
            "gemini": _config(seed=7),
            "bedrock": DROPPED,
            "cohere": Said({"seed": 7}),
        },
    ),
    Wish(
        "penalties",
        "Penalties for repetition",
        said={"chat": {"frequency_penalty": 0.5, "presence_penalty": 0.5}},
        found={
            "openai": Said({"frequency_penalty": 0.5, "presence_penalty": 0.5}),
            "anthropic": DROPPED,
            "gemini": _config(frequencyPenalty=0.5, presencePenalty=0.5),
            "bedrock": DROPPED,
            "cohere": Said({"frequency_penalty": 0.5, "presence_penalty": 0.5}),
        },
    ),
    Wish(
        "choices",
        "Several choices (`n`)",
        said={"chat": {"n": 2}},
        found={
            "deepseek": REFUSED,
            "openai": Said({"n": 2}),
            "anthropic": REFUSED,
            "gemini": _config(candidateCount=2),
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "logprobs",
        "Log probabilities",
        said={
            "chat": {"logprobs": True, "top_logprobs": 2},
            "responses": {"top_logprobs": 2},
        },
        found={
            "mistral": REFUSED,
            "openai": REFUSED,
            "chat/openai": Said({"logprobs": True, "top_logprobs": 2}),
            "anthropic": REFUSED,
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "logit-bias",
        "`logit_bias`",
        said={"chat": {"logit_bias": {"50256": -100}}},
        found={
            "mistral": DROPPED,
            "openai": Said({"logit_bias": {"50256": -100}}),
            "anthropic": DROPPED,
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "verbosity",
        "`verbosity`",
        said={"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
        found={
            "mistral": DROPPED,
            "openai": Said({"verbosity": "low"}),
            "anthropic": DROPPED,
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "end-user",
        "Name of the end user",
        said={
            "chat": {"user": "u-1"},
            "responses": {"user": "u-1"},
            "messages": {"metadata": {"user_id": "u-1"}},
        },
        found={
            "mistral": DROPPED,
            "openai": Said({"user": "u-1"}),
            "anthropic": Said({"metadata": {"user_id": "u-1"}}),
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "service-tier",
        "Service tier (`priority`; in Messages `standard_only`)",
        said={
            "chat": {"service_tier": "priority"},
            "responses": {"service_tier": "priority"},
            "messages": {"service_tier": "standard_only"},
        },
        found={
            "mistral": DROPPED,
            "openai": Said({"service_tier": "priority"}),
            "messages/openai": Said({"service_tier": "default"}),
            "anthropic": Said({"service_tier": "auto"}),
            "messages/anthropic": Said({"service_tier": "standard_only"}),
            "gemini": Said({"serviceTier": "priority"}),
            "messages/gemini": DROPPED,
            "bedrock": Said({"serviceTier": {"type": "priority"}}),
            "messages/bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "unknown-field",
        "Fields that the gateway does not know",
        said=_everywhere(x_brand_new={"a": [1]}),
        found={
            "openai": DROPPED,
            "chat/openai": Said({"x_brand_new": {"a": [1]}}),
            "anthropic": DROPPED,
            "messages/anthropic": Said({"x_brand_new": {"a": [1]}}),
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
)
