"""Who may go on with an answer that broke off."""

from typing import Any

from router.catalog.candidate import Candidate
from router.catalog.routes import Route
from router.catalog.wishes import Wish
from router.config import Secret, TimeoutConfig
from router.exchange.choice import rescuers
from router.exchange.live import HedgeSettings, LiveEndpoints
from tests.unit.test_exchange_endpoint import candidate

LIVE = LiveEndpoints("syzeai/1", HedgeSettings())


def prefilling(provider: str, **changes: Any) -> Candidate:
    return candidate(provider=provider, prefill=True, **changes)


def route(*tiers: tuple[Candidate, ...], larger: tuple[Candidate, ...] = ()) -> Route:
    return Route("m", tiers, None, "mine", larger_context=larger)


def names(found: Route | None) -> list[list[str]]:
    return [] if found is None else [[one.provider for one in tier] for tier in found.tiers]


def who(asked: Route, broken: Candidate, wish: Wish | None = None) -> list[list[str]]:
    return names(rescuers(asked, wish or Wish(), LIVE.of(broken), live=LIVE))


def test_all_that_take_a_prefill_but_who_broke_stay_in_their_tiers() -> None:
    first, plain = prefilling("first"), candidate(provider="plain")
    asked = route((first, plain, prefilling("a")), (plain,), (prefilling("b"), prefilling("c")))
    assert who(asked, first) == [["a"], ["b", "c"]]
    assert who(asked, plain) == [["first", "a"], ["b", "c"]]
    assert who(route((first, plain)), first) == []
    assert asked.has_rescuer
    assert not route((plain,)).has_rescuer


def test_who_broke_is_left_out_whatever_its_limits_and_another_key_is_another() -> None:
    first = prefilling("first")
    patient = prefilling("first", timeouts=TimeoutConfig(total=1.0))
    other_key = prefilling("first", key=Secret("sk-other"))
    assert who(route((first,), (patient,)), first) == []
    assert who(route((first, other_key)), first) == [["first"]]


def test_without_fallbacks_only_the_same_provider_may_go_on() -> None:
    first, other_key = prefilling("first"), prefilling("first", key=Secret("sk-other"))
    asked = route((first, prefilling("a"), other_key), (prefilling("b"),))
    assert who(asked, first, Wish(allow_fallbacks=False)) == [["first"]]


def test_after_a_prompt_that_was_too_long_only_larger_contexts_are_asked() -> None:
    first, large, larger = prefilling("first"), prefilling("large"), prefilling("larger")
    asked = route((first,), larger=(large, larger))
    assert who(asked, large) == [["larger"]]
    assert who(asked, first) == []
    assert asked.has_rescuer
