"""The budget of extra attempts: a share of the requests, savings for a bad moment, a floor that lends."""

import pytest

from router.routing.budget import AttemptBudget


def spend_all(budget: AttemptBudget, now: float) -> int:
    spent = 0
    while budget.try_spend(now):
        spent += 1
        assert spent < 10_000
    return spent


def test_a_tiny_deployment_may_retry_before_it_has_paid_anything() -> None:
    assert spend_all(AttemptBudget(), 0.0) == 10


def test_the_floor_grows_back_by_one_in_ten_seconds() -> None:
    budget = AttemptBudget()
    spend_all(budget, 0.0)
    assert spend_all(budget, 9.0) == 0
    assert spend_all(budget, 10.5) == 1
    assert spend_all(budget, 1_000.0) == 10


def test_sixteen_requests_pay_for_one_attempt_at_a_ratio_of_a_sixteenth() -> None:
    budget = AttemptBudget(ratio=1.0 / 16.0, burst=0.0)
    for _ in range(15):
        budget.deposit(0.0)
    assert not budget.try_spend(0.0)
    budget.deposit(0.0)
    assert spend_all(budget, 0.0) == 1


def test_savings_cover_what_recent_traffic_paid_in() -> None:
    budget = AttemptBudget(floor_per_second=0.0)
    for index in range(60_000):
        budget.deposit(index / 1_000.0)
    spent = spend_all(budget, 60.0)
    assert 500 <= spent <= 1_010


def test_savings_shrink_with_the_traffic() -> None:
    budget = AttemptBudget(floor_per_second=0.0)
    for index in range(60_000):
        budget.deposit(index / 1_000.0)
    budget.deposit(600.0)
    assert spend_all(budget, 600.0) == 20


def test_a_busy_gateway_pays_the_floor_back() -> None:
    budget = AttemptBudget()
    spent = requests = 0
    for index in range(60_000):
        now = index / 100.0
        budget.deposit(now)
        requests += 1
        spent += budget.try_spend(now)
    assert spent <= 0.05 * requests + 10.0


def test_a_debt_is_capped_so_that_later_traffic_is_not_punished_for_it() -> None:
    budget = AttemptBudget()
    for minute in range(1_000):
        spend_all(budget, 60.0 * minute)
    for _ in range(20 * 12):
        budget.deposit(60_000.0)
    assert budget.try_spend(60_000.0)


@pytest.mark.parametrize("figure", ["ratio", "floor_per_second", "burst", "savings_seconds"])
def test_negative_figures_are_refused(figure: str) -> None:
    with pytest.raises(ValueError, match="negative"):
        AttemptBudget(**{figure: -1.0})
