"""The limit headers, and durations as OpenAI writes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.demand import Demand, Limits, Standing, Use
from router.admission.headers import Windows, duration

FORM = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(\d+(?:\.\d+)?)s|(\d+)ms")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.0001, "1ms"),
        (0.0000004, "0ms"),
        (0.0010004, "1ms"),
        (0.0010006, "2ms"),
        (0.02, "20ms"),
        (0.9991, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (12.345, "12.345s"),
        (59.9999, "1m0s"),
        (60, "1m0s"),
        (60.5, "1m0.5s"),
        (3599, "59m59s"),
        (3600, "1h0m0s"),
        (3723, "1h2m3s"),
        (86400, "24h0m0s"),
    ],
)
def test_a_duration_is_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text.encode()


@given(st.floats(0, 1e6))
def test_a_duration_reads_back_as_the_same_rounded_up_to_a_millisecond(seconds: float) -> None:
    found = FORM.fullmatch(duration(seconds).decode())
    assert found is not None
    hours, minutes, rest, milliseconds = (float(part or 0) for part in found.groups())
    read = hours * 3600 + minutes * 60 + rest + milliseconds / 1000
    assert -1e-6 <= read - seconds <= 0.001 + 1e-6


def told(*pairs: tuple[Limits, Standing]) -> dict[str, str]:
    demands = [Demand(subject="s", limits=limits) for limits, _ in pairs]
    headers = Windows(demands).headers([use_of(standing) for _, standing in pairs])
    assert headers is not None
    return {name.decode(): value.decode() for name, value in headers}


def use_of(standing: Standing) -> Use:
    return (
        standing.used_requests,
        standing.used_tokens,
        standing.requests_reset,
        standing.tokens_reset,
    )


def test_each_kind_is_told_with_its_limit_its_rest_and_its_reset() -> None:
    limits = Limits(requests=10, tokens=1000, concurrency=3)
    standing = Standing(
        used_requests=4, used_tokens=990, in_flight=3, requests_reset=1.5, tokens_reset=61.0
    )
    assert told((limits, standing)) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "6",
        "x-ratelimit-reset-requests": "1.5s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "10",
        "x-ratelimit-reset-tokens": "1m1s",
    }


def test_a_debt_leaves_nothing_and_not_less() -> None:
    headers = told((Limits(tokens=10), Standing(used_tokens=15)))
    assert headers["x-ratelimit-remaining-tokens"] == "0"


def test_of_several_limits_the_one_with_the_least_room_is_told() -> None:
    headers = told(
        (Limits(requests=100, tokens=50), Standing(used_requests=95, used_tokens=0)),
        (Limits(requests=20, tokens=900), Standing(used_requests=10, used_tokens=880)),
    )
    assert headers["x-ratelimit-limit-requests"] == "100"
    assert headers["x-ratelimit-remaining-requests"] == "5"
    assert headers["x-ratelimit-limit-tokens"] == "900"
    assert headers["x-ratelimit-remaining-tokens"] == "20"


def test_of_limits_with_the_same_room_the_smallest_is_told() -> None:
    headers = told(
        (Limits(requests=100), Standing(used_requests=95)),
        (Limits(requests=20), Standing(used_requests=15, requests_reset=7.0)),
        (Limits(requests=50), Standing(used_requests=45)),
    )
    assert headers["x-ratelimit-limit-requests"] == "20"
    assert headers["x-ratelimit-remaining-requests"] == "5"
    assert headers["x-ratelimit-reset-requests"] == "7s"


def test_nothing_is_told_of_what_has_no_limit() -> None:
    assert told((Limits(concurrency=1), Standing(used_requests=5, used_tokens=5))) == {}


def test_nothing_is_told_where_the_use_of_a_limited_window_is_not_known() -> None:
    limited = Demand(subject="a", limits=Limits(tokens=5))
    gauged = Demand(subject="b", limits=Limits(concurrency=5))
    assert Windows([limited]).headers([None]) is None
    assert Windows([gauged]).headers([None]) == []
