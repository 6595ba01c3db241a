"""From who is calling to which limits hold."""

import pytest

from limiter.demand import Demand, Limits
from router.accounts.account import Account
from router.accounts.caller import Caller
from router.accounts.keys import ApiKey
from router.accounts.tier import ModelPatterns, Tier
from router.admission.terms import Terms
from router.billing.hold import Hold, Wanted
from router.config import LimitTable
from router.ledger.price import Price

KEY = "key:key_a"
ACCOUNT = "account:acc_a"


def caller(
    key: Limits = Limits(),  # noqa: B008 - a frozen struct
    *,
    account: Limits = Limits(),  # noqa: B008 - a frozen struct
    tier: Limits = Limits(),  # noqa: B008 - a frozen struct
    models: str = "*",
    prepaid: bool = False,
) -> Caller:
    return Caller(
        ApiKey(id="key_a", name="a", hint="", digest=b"", created_at=0.0, limits=key),
        Account(id="acc_a", name="a", tier="t", prepaid=prepaid, limits=account),
        Tier("t", ModelPatterns([models]), tier),
    )


def terms(general: LimitTable | None = None, **models: LimitTable) -> Terms:
    return Terms(general or LimitTable(), models)


def hold(*, account: int | None = None, key: int | None = None) -> Hold:
    wanted = Wanted(prompt_tokens=1, output_tokens=1, capped=True)
    free = Price(input=0, output=0, cache_read=0, cache_write=0, reasoning=0)
    return Hold(price=free, wanted=wanted, amount=1, account=account, key=key)


@pytest.mark.parametrize(
    ("key", "tier", "general", "expected"),
    [
        (None, None, None, None),
        (None, None, 3, 3),
        (None, 2, 3, 2),
        (1, 2, 3, 1),
        (5, 2, 3, 5),
        (1, None, None, 1),
    ],
)
@pytest.mark.parametrize("kind", ["requests", "tokens", "concurrency"])
def test_the_narrowest_word_on_each_kind_of_limit_holds(
    kind: str, key: int | None, tier: int | None, general: int | None, expected: int | None
) -> None:
    names = {"requests": "requests_per_minute", "tokens": "tokens_per_minute"}
    table = LimitTable(**{names.get(kind, kind): general})
    who = caller(Limits(**{kind: key}), tier=Limits(**{kind: tier}))
    assert terms(table).of_key(who) == Limits(**{kind: expected})


def test_the_kinds_are_decided_one_by_one() -> None:
    general = LimitTable(requests_per_minute=1, tokens_per_minute=2, concurrency=3)
    who = caller(Limits(requests=10), tier=Limits(requests=20, tokens=20))
    assert terms(general).of_key(who) == Limits(requests=10, tokens=20, concurrency=3)


def test_a_request_draws_on_its_key_even_where_nothing_limits_it() -> None:
    assert terms().demands(caller(), "m") == (Demand(subject=KEY, limits=Limits()),)


def test_an_account_is_drawn_on_where_it_has_limits() -> None:
    own = Limits(tokens=5)
    limited = terms().demands(caller(account=own), "m")
    assert limited[1:] == (Demand(subject=ACCOUNT, limits=own),)


def test_an_account_is_drawn_on_where_it_has_credit() -> None:
    found = terms().demands(caller(prepaid=True), "m")
    assert found[1:] == (Demand(subject=ACCOUNT, limits=Limits()),)


def test_credit_is_counted_where_the_calls_are() -> None:
    own, shared = Limits(requests=9), Limits(tokens=5)
    limits = terms(m=LimitTable(concurrency=2))
    draw = limits.draw(caller(own, account=shared, prepaid=True), "m")
    of_model = Demand(subject="model:m", limits=Limits(concurrency=2))
    for account, key in ((7, 3), (6, 3), (6, None), (None, 0)):
        assert draw.with_credit(hold(account=account, key=key)) == (
            Demand(subject=KEY, limits=own, credit=key),
            Demand(subject=ACCOUNT, limits=shared, credit=account),
            of_model,
        )


def test_credit_that_is_held_later_is_judged_by_nothing_else() -> None:
    """Holding more of it in the midst of a call is not another request."""
    draw = terms().draw(caller(Limits(requests=9), account=Limits(tokens=5), prepaid=True), "m")
    assert draw.credit_demands(hold(account=7, key=3)) == [
        Demand(subject=KEY, limits=Limits(), credit=3),
        Demand(subject=ACCOUNT, limits=Limits(), credit=7),
    ]
    assert draw.credit_demands(hold(account=7)) == [
        Demand(subject=ACCOUNT, limits=Limits(), credit=7)
    ]


def test_a_model_is_drawn_on_where_it_has_limits() -> None:
    limits = terms(m=LimitTable(tokens_per_minute=9))
    expected = Demand(subject="model:m", limits=Limits(tokens=9))
    assert limits.demands(caller(), "m")[1:] == (expected,)
    assert limits.demands(caller(), "n")[1:] == ()
    assert limits.demands(caller(), None)[1:] == ()


def test_all_demands_name_the_limited_models_that_the_tier_has() -> None:
    table = LimitTable(concurrency=1)
    limits = terms(b=table, a=table, secret=table)
    found = limits.all_demands(caller(account=Limits(requests=1), models="[ab]"))
    assert [demand.subject for demand in found] == [KEY, ACCOUNT, "model:a", "model:b"]


def test_the_smallest_limit_on_tokens_is_the_most_that_a_request_may_ask() -> None:
    limits = terms(m=LimitTable(tokens_per_minute=9))
    who = caller(Limits(tokens=20), account=Limits(tokens=30))
    assert limits.draw(who, "m").most_tokens == 9
    assert limits.draw(who, "n").most_tokens == 20
    assert limits.draw(caller(), "n").most_tokens is None
