"""Prices: exact for every list, refused where they cannot be right, and what requests cost by them."""

from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
import pytest

from adapters.dialect import Usage
from router.catalog.models import Model, load_seed
from router.ledger.cost import MOST_TOKENS, Tokens, cost, possible_tokens
from router.ledger.hold import affordable_output, worst_case
from router.ledger.market import genai_market, token_rates
from router.ledger.money import format_usd, parse_usd
from router.ledger.price import PriceProblem, make_price
from router.ledger.tariff import make_tariff, make_tariffs

MILLION = 1_000_000


def model(**fields: Any) -> Model:
    usual: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o",
        "mode": "chat",
        "context_tokens": None,
        "max_output_tokens": None,
        "usd_per_mtok": {"input": 2.5, "output": 10.0},
        "supports": frozenset(),
    }
    return Model(**usual | fields)


# Lists


def test_every_listed_price_is_exact() -> None:
    text = resources.files("router.catalog").joinpath("models.jsonl").read_text("utf-8")
    # Decoded as decimals: what is written, not what a float makes of it.
    rows = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode_lines(text)
    seed = load_seed()
    rates = 0
    for row, known in zip(rows, seed, strict=True):
        for rate, written in row["usd_per_mtok"].items():
            stated = {"input": known.usd_per_mtok[rate]}
            price = make_price(known.model, stated, has_output=False)
            assert Decimal(price.input) == Decimal(written) * 10**9, (known.model, rate)
            rates += 1
    assert rates > 5000


def test_the_seed_gives_most_models_a_tariff_and_each_other_a_reason() -> None:
    seed = [one for one in load_seed() if one.is_served]
    found = make_tariffs(seed)
    assert len(found.tariffs) + len(found.problems) == len(seed)
    assert len(found.tariffs) > 1700
    for id_ in (
        "anthropic/claude-haiku-4-5-20251001",
        "anthropic/claude-opus-4-7",
        "anthropic/claude-sonnet-4-5-20250929",
        "openai/text-embedding-3-small",
    ):
        assert found.tariffs[id_].sale.input > 0


def test_no_tariff_of_the_seed_reads_or_writes_for_nothing() -> None:
    for id_, tariff in make_tariffs(load_seed()).tariffs.items():
        assert min(tariff.cost.input, tariff.cost.cache_read, tariff.cost.cache_write) > 0, id_


@pytest.mark.parametrize(
    ("usd_per_mtok", "reason"),
    [
        ({}, "input price is missing"),
        ({"input": 1.0}, "output price is missing"),
        ({"input": -1.0, "output": 1.0}, "input price is negative"),
        ({"input": 1.0, "output": float("nan")}, "output price is NaN"),
        ({"input": 1.0, "output": float("inf")}, "output price is Infinity"),
        ({"input": 1.0, "output": float("-inf")}, "output price is -Infinity"),
        ({"input": 1.0, "output": 10_000.01}, "above 10,000 USD"),
        ({"input": 1.0, "output": 1.0, "cache_read": -0.1}, "cache_read price is negative"),
        ({"input": "dear", "output": 1.0}, "input price is not a number"),
        ({"input": 1.0, "output": 1.0, "sound": 1.0}, "sound is no rate"),
        ({"input": 0.0, "output": 1.0}, "input price is missing"),
        ({"input": 1.0, "output": 0.0}, "output price is missing"),
    ],
)
def test_i3_a_price_that_cannot_be_right_refuses_its_model_by_name(
    usd_per_mtok: dict[str, float], reason: str
) -> None:
    bad = model(model="oddity", usd_per_mtok=usd_per_mtok)
    found = make_tariffs([model(), bad])
    assert list(found.tariffs) == ["openai/gpt-4o"]
    (problem,) = found.problems
    assert problem.model == "openai/oddity"
    assert reason in str(problem)
    assert "openai/oddity" in str(problem)


def test_only_the_operator_can_make_a_model_free() -> None:
    free = model(usd_per_mtok={"input": 0.0, "output": 0.0})
    assert not make_tariffs([free]).tariffs
    found = make_tariffs([free], overrides={"openai/gpt-4o": {"input": 0, "output": 0}})
    assert cost(found.tariffs["openai/gpt-4o"].sale, Usage(input_tokens=9, output_tokens=9)) == 0


def test_a_zero_for_cached_tokens_in_a_list_is_an_unknown_price() -> None:
    price = make_tariff("m", listed={"input": 2.0, "output": 4.0, "cache_write": 0.0}).cost
    assert price.cache_write == price.input


def test_the_operator_replaces_single_rates_and_adds_models_that_no_list_has() -> None:
    found = make_tariffs(
        [model()],
        overrides={
            "openai/gpt-4o": {"output": "12"},
            "local/llama": {"input": Decimal("0.1"), "output": 0.2},
            "local/half": {"input": 1},
        },
    )
    assert found.tariffs["openai/gpt-4o"].cost.input == 2_500_000_000
    assert found.tariffs["openai/gpt-4o"].cost.output == 12_000_000_000
    assert found.tariffs["local/llama"].cost.input == 100_000_000
    assert [problem.model for problem in found.problems] == ["local/half"]


def test_a_bad_price_of_the_operator_refuses_the_model_too() -> None:
    found = make_tariffs([model()], overrides={"openai/gpt-4o": {"output": -1}})
    assert not found.tariffs
    assert "negative" in str(found.problems[0])


def test_the_markup_is_the_customers_and_rounds_up_to_the_unit() -> None:
    tariff = make_tariff("m", listed={"input": 1.0, "output": 0.000000001}, markup=Decimal("1.15"))
    assert (tariff.cost.input, tariff.sale.input) == (1_000_000_000, 1_150_000_000)
    assert (tariff.cost.output, tariff.sale.output) == (1, 2)


@pytest.mark.parametrize("factor", ["0", "-1", "NaN", "Infinity", "101"])
def test_an_impossible_markup_is_refused(factor: str) -> None:
    with pytest.raises(ValueError, match="markup"):
        make_tariffs([model()], markup=Decimal(factor))


def test_a_market_comes_before_the_seed_as_a_whole() -> None:
    def market(provider: str, name: str) -> dict[str, Decimal] | None:
        return {"input": Decimal(3), "output": Decimal(5)} if name == "gpt-4o" else None

    listed = {"input": 2.5, "output": 10.0, "cache_read": 1.25}
    found = make_tariffs(
        [model(usd_per_mtok=listed), model(model="other", usd_per_mtok=listed)], market=market
    ).tariffs
    assert found["openai/gpt-4o"].cost.cache_read == 3_000_000_000
    assert found["openai/other"].cost.cache_read == 1_250_000_000


def test_genai_prices_are_read_where_they_have_one_price_per_kind() -> None:
    market = genai_market()
    rates = market("anthropic", "claude-haiku-4-5")
    assert rates is not None
    assert rates["input"] == Decimal(1)
    assert rates["output"] == Decimal(5)
    assert market("nobody", "claude-haiku-4-5") is None
    assert market("anthropic", "no-such-model") is None


class Prices:
    """Has attributes, as the package's own price sets do."""

    def __init__(self, **prices: object) -> None:
        vars(self).update(prices)


def test_genai_prices_of_another_shape_are_left_to_the_seed() -> None:
    one, other = Decimal(1), object()
    assert token_rates(Prices(input_mtok=one, output_mtok=one, cache_read_mtok=None)) == {
        "input": one,
        "output": one,
    }
    assert token_rates(Prices(input_mtok=one, output_mtok=other)) is None
    assert token_rates(Prices(input_mtok=one, output_mtok=one, requests_kcount=one)) is None
    assert token_rates(Prices(audio_hours=one)) is None
    assert token_rates([one]) is None


# Costs

PRICE = make_price("m", {"input": 2, "output": 8, "cache_read": 0.5, "cache_write": 2.5})
THINKING = make_price("m", {"input": 2, "output": 8, "reasoning": 10})


@pytest.mark.parametrize(
    ("usage", "writes", "nanodollars"),
    [
        (Usage(), 0, 0),
        (Usage(input_tokens=1), 0, 2000),
        (Usage(input_tokens=100, output_tokens=10), 0, 280_000),
        (Usage(input_tokens=100, cached_tokens=100), 0, 50_000),
        (Usage(input_tokens=100, cached_tokens=60), 30, 60 * 500 + 30 * 2500 + 10 * 2000),
        (Usage(output_tokens=10, reasoning_tokens=10), 0, 80_000),
    ],
)
def test_a_request_costs_its_tokens(usage: Usage, writes: int, nanodollars: int) -> None:
    assert cost(PRICE, msgspec.structs.replace(usage, cache_write_tokens=writes)) == nanodollars


def test_reasoning_is_output_unless_it_has_a_price_of_its_own() -> None:
    assert cost(THINKING, Usage(output_tokens=10, reasoning_tokens=4)) == 6 * 8000 + 4 * 10_000


def test_a_sum_is_rounded_up_once() -> None:
    tiny = make_price("m", {"input": 0.0001, "output": 0.0004})  # 0.1 and 0.4 nano-dollars a token
    assert cost(tiny, Usage(input_tokens=1)) == 1
    assert cost(tiny, Usage(input_tokens=2, output_tokens=2)) == 1
    assert cost(tiny, Usage(input_tokens=3, output_tokens=2)) == 2


def test_an_embedding_has_no_output_to_pay_for() -> None:
    price = make_price("m", {"input": 0.02, "output": 5}, has_output=False)
    assert cost(price, Usage(input_tokens=1000, output_tokens=9)) == 20_000


@pytest.mark.parametrize(
    ("usage", "writes", "possible"),
    [
        (Usage(input_tokens=-5, output_tokens=-1), -1, Tokens()),
        (Usage(input_tokens=5, cached_tokens=9), 0, Tokens(input=5, cached=5)),
        (Usage(input_tokens=5, cached_tokens=3), 9, Tokens(input=5, cached=3, cache_write=2)),
        (Usage(output_tokens=5, reasoning_tokens=9), 0, Tokens(output=5, reasoning=5)),
        (Usage(input_tokens=10**30), 0, Tokens(input=MOST_TOKENS)),
    ],
)
def test_counts_that_cannot_be_are_read_as_what_can(
    usage: Usage, writes: int, possible: Tokens
) -> None:
    assert possible_tokens(msgspec.structs.replace(usage, cache_write_tokens=writes)) == possible


# Holds


def test_a_hold_covers_the_dearest_way_to_spend_the_tokens() -> None:
    assert worst_case(PRICE, input_tokens=100, output_tokens=10) == 100 * 2500 + 10 * 8000
    assert worst_case(THINKING, input_tokens=0, output_tokens=10) == 100_000


def test_credit_carries_as_far_as_it_goes_and_no_further() -> None:
    hold = worst_case(PRICE, input_tokens=100, output_tokens=10)
    assert affordable_output(PRICE, input_tokens=100, credit=hold) == 10
    assert affordable_output(PRICE, input_tokens=100, credit=hold - 1) == 9
    assert affordable_output(PRICE, input_tokens=100, credit=250_000) == 0
    assert affordable_output(PRICE, input_tokens=100, credit=249_999) == -1


def test_free_output_is_not_limited_by_credit() -> None:
    price = make_price("m", {"input": 1, "output": 0})
    assert affordable_output(price, input_tokens=0, credit=0) is None


@pytest.mark.parametrize(
    ("text", "nanodollars"),
    [("0.00", 0), ("12.50", 12_500_000_000), ("-0.000000001", -1), ("0.123456789", 123_456_789)],
)
def test_dollars_are_read_and_written_exactly(text: str, nanodollars: int) -> None:
    assert parse_usd(text) == nanodollars
    assert format_usd(nanodollars) == text


@pytest.mark.parametrize(
    "text", ["", "1e3", "nan", "1.0000000001", " 1", "1,5", "+1", "٣", "1.", "9" * 11]
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_usd(text)


def test_a_problem_says_which_model_and_why() -> None:
    with pytest.raises(
        PriceProblem, match=r"^the model a/b has no usable price: the input price is"
    ):
        make_price("a/b", {"output": 1})
