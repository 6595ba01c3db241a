"""What is told of one model: OpenAI's fields, and those by which OpenRouter's clients choose.

Prices are what a customer pays here, in US dollars per token, as text so that no digit is lost. What nobody
has stated is left out: an absent price is unknown, not nothing, and a capability that is not listed may
be there all the same.

Fields as documented at https://openrouter.ai/docs/models.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

import msgspec

from router.catalog.models import Model
from router.catalog.routes import Route
from router.ledger.price import Price

# Strict clients want the field, providers rarely tell it: the date of the catalog's data, in unix seconds.
_CREATED_AT: Final = 1_793_491_200
_FEMTO: Final = -15

_OUTPUTS: Final = {"embedding": "embeddings", "rerank": "rerank"}
_INPUTS: Final = {
    "image": ("vision", "image_input", "embedding_image_input"),
    "file": ("pdf_input",),
    "audio": ("audio_input",),
    "video": ("video_input",),
}
_PARAMETERS: Final = {
    "function_calling": ("tools",),
    "tool_choice": ("tool_choice",),
    "parallel_function_calling": ("parallel_tool_calls",),
    "response_schema": ("response_format", "structured_outputs"),
    "native_structured_output": ("response_format", "structured_outputs"),
    "reasoning": ("reasoning_effort",),
    "web_search": ("web_search_options",),
}
# Models that reason often refuse to be given these.
_SAMPLING: Final = ("temperature", "top_p")


class Pricing(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per token."""

    prompt: str
    completion: str
    input_cache_read: str
    input_cache_write: str
    internal_reasoning: str


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in and what comes out."""

    modality: str
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]


class TopProvider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the provider that is asked first takes and gives, in tokens."""

    context_length: int | None = None
    max_completion_tokens: int | None = None


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model, as `GET /v1/models` lists it. `expiration_date`: when its provider will retire it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    name: str
    context_length: int | None = None
    pricing: Pricing | None = None
    architecture: Architecture | None = None
    top_provider: TopProvider | None = None
    supported_parameters: tuple[str, ...] | None = None
    expiration_date: str | None = None


def card_of(name: str, route: Route, price: Price | None) -> ModelCard:
    """Return the card of what `name` leads to; `price` is the sale price, `None` where it has none."""
    card = ModelCard(
        id=name,
        object="model",
        created=_CREATED_AT,
        owned_by=route.owned_by,
        name=name,
        pricing=None if price is None else pricing_of(price),
    )
    model = route.model
    if model is None:
        return card
    return msgspec.structs.replace(
        card,
        context_length=model.context_tokens,
        architecture=_architecture(model),
        top_provider=TopProvider(
            context_length=model.context_tokens, max_completion_tokens=model.max_output_tokens
        ),
        supported_parameters=tuple(dict.fromkeys(_parameters(model))),
        expiration_date=model.deprecation_date,
    )


def pricing_of(price: Price) -> Pricing:
    """Return a price as it is told, exactly."""
    return Pricing(
        prompt=usd_per_token(price.input),
        completion=usd_per_token(price.output),
        input_cache_read=usd_per_token(price.cache_read),
        input_cache_write=usd_per_token(price.cache_write),
        internal_reasoning=usd_per_token(price.reasoning),
    )


def usd_per_token(femtodollars: int) -> str:
    """Return femto-dollars in dollars, exactly, as a plain decimal number."""
    text = f"{Decimal(femtodollars).scaleb(_FEMTO):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _architecture(model: Model) -> Architecture:
    inputs = ("text", *(kind for kind, by in _INPUTS.items() if not model.supports.isdisjoint(by)))
    outputs: tuple[str, ...] = (_OUTPUTS.get(model.mode, "text"),)
    if "audio_output" in model.supports:
        outputs += ("audio",)
    return Architecture(
        modality=f"{'+'.join(inputs)}->{'+'.join(outputs)}",
        input_modalities=inputs,
        output_modalities=outputs,
    )


def _parameters(model: Model) -> Iterator[str]:
    if not model.has_output:
        return
    yield from ("max_tokens", "stop")
    if "reasoning" not in model.supports:
        yield from _SAMPLING
    for capability, names in _PARAMETERS.items():
        if capability in model.supports:
            yield from names
