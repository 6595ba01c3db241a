"""What one request wishes about its route, in the fields that OpenRouter's users know.

`models` lists models that may answer if the asked one cannot. `provider` says which providers to
ask first (`order`), which alone (`only`), which never (`ignore`), whether those that are not named
may stand in (`allow_fallbacks`), and what counts among equals (`sort`). Its other members are
ignored. What a wish names goes before what the operator arranged for the case of a failure, and a
filter holds for everything, fallbacks too.

Fields as documented at https://openrouter.ai/docs/guides/routing/provider-selection and
https://openrouter.ai/docs/guides/routing/model-fallbacks.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from adapters.dialect import BadCall
from adapters.openai.foreign import NULL, UNREADABLE
from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.routes import Route, distinct_tiers

Sort = Literal["price", "latency", "throughput"]

# A provider would not know these; `route` only ever had one value that meant anything.
WISH_FIELDS: Final = ("models", "provider", "route")
MOST_MODELS: Final = 32
MOST_SHOWN: Final = 100  # characters of a name that nobody knows


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One request's wishes. Names of providers are in lower case; an empty `only` allows all."""

    models: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    sort: Sort | None = None

    @property
    def first_provider_only(self) -> bool:
        """Whether, in each tier, only the provider that the policy puts first may be asked.

        With an `order` it is false: without fallbacks, the providers listed there are all there are.
        """
        return not self.allow_fallbacks and not self.order

    def apply(self, catalog: Catalog, route: Route) -> Route:
        """Return the route as this request wants it: the asked model, then `models`, then the rest.

        Raises `BadCall` for a model that does not exist, and where no provider is left.
        """
        if self == NO_WISH:
            return route
        levels = [route.candidates, *self._wished(catalog)]
        if self.allow_fallbacks:
            levels += route.tiers[1:]
        tiers = distinct_tiers(tier for level in levels for tier in self._split(level))
        if not tiers:
            message = f"The field 'provider' leaves no provider for the model '{route.id}'."
            raise BadCall(message, param="provider", code="no_allowed_provider")
        larger = self._allowed(route.larger_context) if self.allow_fallbacks else ()
        return msgspec.structs.replace(route, tiers=tiers, larger_context=tuple(larger))

    def _wished(self, catalog: Catalog) -> Iterator[tuple[Candidate, ...]]:
        for model in self.models:
            route = catalog.resolve(model)
            if route is None:
                raise _unknown(model, catalog.nearest(model))
            yield route.candidates

    def _split(self, level: Iterable[Candidate]) -> Iterator[tuple[Candidate, ...]]:
        """Yield a tier for each provider that `order` lists, then one for all others."""
        allowed = list(self._allowed(level))
        for name in self.order:
            yield tuple(one for one in allowed if one.provider.lower() == name)
        if self.allow_fallbacks or not self.order:
            yield tuple(one for one in allowed if one.provider.lower() not in self.order)

    def _allowed(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        for candidate in candidates:
            name = candidate.provider.lower()
            if name not in self.ignore and (not self.only or name in self.only):
                yield candidate


NO_WISH: Final = Wish()


class _SortTable(msgspec.Struct):
    """The long form of `sort`; its `partition` is always by model here."""

    by: Sort | None = None


_Form = tuple[str, Any]
_STRINGS: Final[_Form] = ("an array of strings", msgspec.json.Decoder(list[str]).decode)
_OBJECT: Final[_Form] = ("an object", msgspec.json.Decoder(dict[str, msgspec.Raw]).decode)
_MEMBERS: Final[dict[str, _Form]] = {
    "order": _STRINGS,
    "only": _STRINGS,
    "ignore": _STRINGS,
    "allow_fallbacks": ("a boolean", msgspec.json.Decoder(bool).decode),
    "sort": (
        "'price', 'latency' or 'throughput'",
        msgspec.json.Decoder(Sort | _SortTable).decode,
    ),
}


def read_wish(fields: Mapping[str, msgspec.Raw]) -> Wish:
    """Read the wishes out of a request's top-level fields; what is `null` counts as absent.

    Raises `BadCall` naming the field, or the member of `provider`, and what was expected.
    """
    models = _read("models", _STRINGS, fields.get("models", NULL)) or []
    if len(models) > MOST_MODELS:
        raise BadCall(f"'models' must hold at most {MOST_MODELS} models.", param="models")
    provider = _read("provider", _OBJECT, fields.get("provider", NULL)) or {}
    read = {
        name: _read(f"provider.{name}", words, provider.get(name, NULL))
        for name, words in _MEMBERS.items()
    }
    sort = read["sort"]
    return Wish(
        models=tuple(models),
        order=tuple(dict.fromkeys(_lower(read["order"]))),
        only=frozenset(_lower(read["only"])),
        ignore=frozenset(_lower(read["ignore"])),
        allow_fallbacks=read["allow_fallbacks"] is not False,
        sort=sort.by if isinstance(sort, _SortTable) else sort,
    )


def _read(name: str, form: _Form, raw: msgspec.Raw) -> Any:  # noqa: ANN401 - any JSON value
    words, decode = form
    if raw == NULL:
        return None
    try:
        return decode(raw)
    except UNREADABLE:
        raise BadCall(
            f"Invalid value for '{name}': {words} was expected.", param=name, code="invalid_type"
        ) from None


def _lower(names: list[str] | None) -> Iterator[str]:
    return (name.lower() for name in names or ())


def _unknown(model: str, near: list[str]) -> BadCall:
    hint = f" Did you mean {', '.join(repr(id_) for id_ in near)}?" if near else ""
    message = f"The model '{model[:MOST_SHOWN]}' in 'models' does not exist.{hint}"
    return BadCall(message, param="models", code="model_not_found")
