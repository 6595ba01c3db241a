"""The simulated provider's prefill: an answer that has begun is gone on with, refused, or said again."""

from typing import Any

import msgspec
import pytest

from router.simulator import (
    Behaviour,
    Profile,
    SeenRequest,
    Simulator,
    expected_text,
    expected_tokens,
)

ASKED = [{"role": "user", "content": "Grüße, 世界 🦜"}]
WHOLE = expected_text({"model": "m", "messages": ASKED})
TOKENS = expected_tokens({"model": "m", "messages": ASKED})


def fields(prefill: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [*ASKED, {"role": "assistant", "content": prefill}], **more}


@pytest.mark.parametrize("place", range(len(WHOLE) + 1))
def test_an_answer_goes_on_from_any_character(place: int) -> None:
    assert WHOLE[:place] + expected_text(fields(WHOLE[:place])) == WHOLE


def test_tokens_stay_whole_where_the_text_ends_with_one() -> None:
    for count in range(len(TOKENS) + 1):
        assert expected_tokens(fields("".join(TOKENS[:count]))) == TOKENS[count:]


def test_the_limit_is_for_the_rest_and_the_ordered_length_for_the_whole() -> None:
    begun = "".join(TOKENS[:3])
    assert expected_tokens(fields(begun, max_tokens=2)) == TOKENS[3:5]
    assert expected_tokens(fields(begun), tokens=4) == TOKENS[3:4]


def test_words_that_are_not_its_own_get_an_answer() -> None:
    foreign = expected_text(fields("Something else"))
    assert foreign.startswith("Hello from the simulated provider")
    alone = {"model": "m", "messages": [{"role": "assistant", "content": WHOLE[:9]}]}
    assert expected_text(alone)


def answered(request: dict[str, Any], profile: Profile | None = None) -> tuple[int, Any]:
    simulator = Simulator(profile or Profile())
    body = msgspec.json.encode(request)
    performance = simulator.answer(SeenRequest(b"POST", b"/v1/chat/completions", [], body))
    assert performance.head is not None
    said = b"".join(data for _, data, _ in performance.steps)
    return performance.head.status, msgspec.json.decode(said)


@pytest.mark.parametrize("way", ["profile", "request"])
def test_a_model_may_refuse_a_prefill_and_nothing_else(way: str) -> None:
    profile = Profile(prefill="refuse") if way == "profile" else Profile()
    more = {} if way == "profile" else {"simulate": {"prefill": "refuse"}}
    status, refused = answered(fields("Hello", **more), profile)
    assert (status, refused["error"]["param"]) == (400, "messages")
    assert answered({"model": "m", "messages": ASKED, **more}, profile)[0] == 200


def test_a_model_may_say_the_prefill_once_more() -> None:
    begun = "".join(TOKENS[:4])
    _, answer = answered(fields(begun, simulate={"prefill": "echo"}))
    assert answer["choices"][0]["message"]["content"] == WHOLE
    _, plain = answered({"model": "m", "messages": ASKED, "simulate": {"prefill": "echo"}})
    assert plain["choices"][0]["message"]["content"] == WHOLE


def test_the_request_decides_before_the_profile() -> None:
    assert Behaviour().prefill is None
    order = {"simulate": {"prefill": "continue"}}
    assert answered(fields("Hello", **order), Profile(prefill="refuse"))[0] == 200
