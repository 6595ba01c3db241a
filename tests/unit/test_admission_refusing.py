"""What a refused request is told."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.demand import Demand, LimitKind, Limits, Refusal
from limiter.turns import Coming, Shortage
from router.admission.engine import Schedule
from router.admission.refusing import refused, shortages
from router.errors import CreditHeld, LimitExceeded


def refusal(kind: LimitKind, subject: str = "key:key_a") -> Refusal:
    return Refusal(subject=subject, kind=kind, limit=10, used=8, asked=5, fits_after=3.0)


def window(kind: LimitKind, *, asked: int, free: int, coming: Coming = ()) -> Shortage:
    return Shortage(subject="key:key_a", kind=kind, asked=asked, free=free, coming=coming)


def told(error: LimitExceeded | CreditHeld) -> dict[str, str]:
    _, headers, _ = error.render()
    return {name.decode(): value.decode() for name, value in headers}


@pytest.mark.parametrize(
    ("subject", "scope"),
    [("key:key_a", "key"), ("account:acc_a", "account"), ("model:openai/gpt-4o", "model")],
)
def test_the_limit_is_named_with_its_figures(subject: str, scope: str) -> None:
    error = refused(refusal("tokens", subject), (), seconds=3.0)
    said = f"for this {scope} on tokens per min (TPM): Limit 10, Used 8, Requested 5."
    assert said in error.message
    assert "key_a" not in error.message
    assert error.to_body().type == "tokens"


@pytest.mark.parametrize("kind", ["requests", "tokens", "concurrency"])
def test_the_type_is_the_kind_of_limit(kind: LimitKind) -> None:
    body = refused(refusal(kind), (), seconds=1.0).to_body()
    assert (body.type, body.code) == (kind, "rate_limit_exceeded")


def test_without_a_refusal_the_tightest_limit_is_named() -> None:
    windows: Sequence[Shortage] = [
        window("requests", asked=1, free=2),
        window("tokens", asked=50, free=20, coming=[(1.0, 30), (2.0, 50)]),
    ]
    error = refused(None, windows, seconds=1.0)
    assert "Limit 100, Used 80, Requested 50." in error.message
    assert error.to_body().type == "tokens"


def test_where_nothing_limits_windows_the_full_line_is_named() -> None:
    assert "are waiting" in refused(None, (), seconds=1.0).message


@given(st.floats(0, 1000))
def test_the_moment_is_told_after_it_and_within_a_millisecond(seconds: float) -> None:
    error = refused(refusal("tokens"), (), seconds=seconds)
    headers = told(error)
    milliseconds = int(headers["retry-after-ms"])
    assert seconds * 1000 < milliseconds <= seconds * 1000 + 2
    assert milliseconds / 1000 <= int(headers["retry-after"]) < milliseconds / 1000 + 1
    said = float(error.message.rpartition(" in ")[2].removesuffix("s."))
    assert seconds < said <= seconds + 0.001 + 1e-9


def test_every_window_of_every_demand_is_a_shortage_to_be_passed() -> None:
    key = Demand(subject="key:k", limits=Limits(requests=5, tokens=100, concurrency=1))
    model = Demand(subject="model:m", limits=Limits(tokens=50))
    schedule = Schedule([(1.0, 2), (2.0, 1)], [(1.0, 70)])
    found = shortages([(key, schedule), (model, schedule)], tokens=40)
    assert [(s.subject, s.kind, s.asked, s.free) for s in found] == [
        ("key:k", "requests", 1, 2),
        ("key:k", "tokens", 40, 30),
        ("model:m", "tokens", 40, -20),
    ]
    assert found[0].coming == schedule.requests
    assert found[1].coming == schedule.tokens
