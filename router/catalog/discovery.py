"""Asking providers which models they have, at start-up and every few minutes after.

What a provider lists joins the catalog (or replaces the seed's guess, where the list is complete).
A provider that does not answer, or answers nonsense, keeps what was known of it: the failure is
reported and the next round tries again. Providers are asked one after the other, each for a
bounded time; nobody waits for this.
"""

from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import msgspec
import trio

from adapters.providers import KNOWN_PROVIDERS
from router.catalog.candidate import ProviderWire
from router.catalog.catalog import Catalog

Fetch = Callable[[ProviderWire], Awaitable[bytes]]
Report = Callable[[str, Exception], None]

PATIENCE_SECONDS: Final = 20.0
EVERY_SECONDS: Final = 300.0

_MAX_MODELS: Final = 5_000
_MAX_NAME: Final = 256


class ListedModel(msgspec.Struct):
    """One entry of a list as OpenAI and Anthropic give it; only its id is read."""

    id: str


class ModelList(msgspec.Struct):
    """A list as OpenAI and Anthropic give it."""

    data: list[ListedModel]


class NamedModel(msgspec.Struct):
    """One entry of a list as Google and Cohere give it, with what the model is good for."""

    name: str
    methods: list[str] | None = msgspec.field(default=None, name="supportedGenerationMethods")
    endpoints: list[str] | None = None

    @property
    def is_served(self) -> bool:
        """Whether the gateway has an endpoint for it; one that says nothing of itself may be any."""
        uses = self.methods or self.endpoints
        return uses is None or not _SERVED_USES.isdisjoint(uses)


class NamedModelList(msgspec.Struct):
    """A list as Google and Cohere give it."""

    models: list[NamedModel]


_SERVED_USES: Final = frozenset({"generateContent", "embedContent", "chat", "embed", "rerank"})
_NAME_PREFIX: Final = "models/"

# Some providers leave the envelope out.
_DECODER: Final = msgspec.json.Decoder(ModelList | list[ListedModel])
_NAMED_DECODER: Final = msgspec.json.Decoder(NamedModelList)


async def discover_forever(
    catalog: Catalog, fetch: Fetch, *, report: Report, every: float = EVERY_SECONDS
) -> NoReturn:
    """Discover at once, then again `every` seconds after the last round ended, until cancelled."""
    while True:
        await discover_once(catalog, fetch, report=report)
        await trio.sleep(every)


async def discover_once(catalog: Catalog, fetch: Fetch, *, report: Report) -> None:
    """Ask every provider that is to be asked.

    `fetch` gets the body of the provider's model list, and may raise what it likes; `report` gets
    the provider's name with each failure. Cancellation leaves the catalog as it was or wholly
    changed.
    """
    for wire in catalog.discoverable():
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                body = await fetch(wire)
            catalog.learn(wire, decode_names(wire.provider, body))
        except Exception as error:  # noqa: BLE001 - reported; one provider's failure must end nothing
            report(wire.provider, error)
    await trio.lowlevel.checkpoint()


def decode_names(provider: str, body: bytes) -> list[str]:
    """Return the models that a provider's list names, in its order, as they are asked for.

    Raises `msgspec.DecodeError` for what is no such list. Names that could not be an id are left
    out, and so is everything beyond a few thousand.
    """
    known = KNOWN_PROVIDERS.get(provider)
    prefix = known.listed_prefix if known is not None else ""
    names = [name.removeprefix(prefix) for name in _listed(body)[:_MAX_MODELS]]
    return [name for name in names if 0 < len(name) <= _MAX_NAME and name.isprintable()]


def _listed(body: bytes) -> list[str]:
    """Return the names in a list of either form; what is of neither is judged by OpenAI's."""
    try:
        answer = _DECODER.decode(body)
    except msgspec.ValidationError:
        try:
            named = _NAMED_DECODER.decode(body).models
        except msgspec.ValidationError:
            named = None
        if named is None:
            raise
        return [entry.name.removeprefix(_NAME_PREFIX) for entry in named if entry.is_served]
    return [entry.id for entry in (answer.data if isinstance(answer, ModelList) else answer)]
