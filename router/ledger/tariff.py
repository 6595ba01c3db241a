"""From what lists and the operator say of a model to the two prices it has here.

Three sources, the later before the earlier: the seed that ships with the gateway, the package genai-prices
where the operator asks for it, and what the operator writes. A list is taken whole, or not at all: half of
one and half of another is nobody's price. What the operator writes replaces single rates.

Lists write 0 where they know nothing as often as where something is free. Nothing is sold for nothing by
accident, so a 0 in a list is an unknown price; only the operator can say that a model is free.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from router.catalog.models import Model
from router.ledger.price import Price, PriceProblem, Stated, check_markup, make_price, marked_up

Market = Callable[[str, str], Stated | None]
"""Provider and its model to that model's rates, `None` where the source does not know it."""

NO_MARKUP: Final = Decimal(1)


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """`cost`: what the provider asks of the operator. `sale`: what a customer pays, with the markup."""

    cost: Price
    sale: Price


class Tariffs(msgspec.Struct, frozen=True, kw_only=True):
    """The tariffs by `provider/model`, and why the other models that could be served have none."""

    tariffs: Mapping[str, Tariff]
    problems: tuple[PriceProblem, ...]


def make_tariff(
    name: str,
    *,
    listed: Stated,
    stated: Stated | None = None,
    has_output: bool = True,
    markup: Decimal = NO_MARKUP,
) -> Tariff:
    """Return the tariff of the model called `name`, with the list's rates where the operator stated none.

    Raises `PriceProblem`, and `ValueError` for an impossible markup.
    """
    rates = {**_without_zeros(listed), **(stated or {})}
    price = make_price(name, rates, has_output=has_output)
    return Tariff(cost=price, sale=marked_up(price, check_markup(markup)))


def make_tariffs(
    models: Iterable[Model],
    *,
    market: Market | None = None,
    overrides: Mapping[str, Stated] | None = None,
    markup: Decimal = NO_MARKUP,
) -> Tariffs:
    """Return the tariffs of all models that the gateway can serve; a problem of one does not stop the others.

    `overrides` are by `provider/model`. Those for models that are not among `models` count as well: the
    operator knows of a model that no list has. Raises `ValueError` for an impossible markup.
    """
    check_markup(markup)
    own = overrides or {}
    tariffs: dict[str, Tariff] = {}
    problems: list[PriceProblem] = []
    named: set[str] = set()

    def add(name: str, listed: Stated, *, has_output: bool) -> None:
        try:
            tariffs[name] = make_tariff(
                name,
                listed=listed,
                stated=own.get(name),
                has_output=has_output,
                markup=markup,
            )
        except PriceProblem as problem:
            problems.append(problem)

    for model in models:
        if model.is_served:
            found = market(model.provider, model.model) if market is not None else None
            listed = model.usd_per_mtok if found is None else found
            name = f"{model.provider}/{model.model}"
            named.add(name)
            add(name, listed, has_output=model.has_output)
    for name in own:
        if name not in named:
            add(name, {}, has_output=True)
    return Tariffs(tariffs=tariffs, problems=tuple(problems))


def _without_zeros(listed: Stated) -> dict[str, float | Decimal | str]:
    return {rate: value for rate, value in listed.items() if value != 0}
