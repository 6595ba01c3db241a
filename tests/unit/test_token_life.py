"""The life of a token: who uses it, who fetches the next one, who waits."""

from hypothesis import given
from hypothesis import strategies as st

from router.routing.token_life import (
    PAUSE_SECONDS,
    REFRESH_SECONDS,
    SPARE_SECONDS,
    Step,
    TokenLife,
)

HOUR = 3600.0
LATE = HOUR - REFRESH_SECONDS


def fresh() -> TokenLife:
    life = TokenLife()
    assert life.next_step(0.0) is Step.FETCH
    life.fetched("one", HOUR)
    return life


def test_the_first_fetches_and_the_others_wait_for_it() -> None:
    life = TokenLife()
    assert [life.next_step(0.0) for _ in range(3)] == [Step.FETCH, Step.WAIT, Step.WAIT]
    life.fetched("one", HOUR)
    assert (life.next_step(0.0), life.value) == (Step.USE, "one")


def test_the_next_one_is_fetched_by_one_while_the_others_use_the_old_one() -> None:
    life = fresh()
    assert life.next_step(LATE - 0.1) is Step.USE
    assert [life.next_step(LATE) for _ in range(3)] == [Step.FETCH, Step.USE, Step.USE]
    assert life.value == "one"
    life.fetched("two", LATE + HOUR)
    assert (life.next_step(HOUR), life.value) == (Step.USE, "two")


def test_a_failure_goes_unnoticed_while_the_old_one_is_good_and_is_not_repeated_at_once() -> None:
    life = fresh()
    assert life.next_step(LATE) is Step.FETCH
    life.failed(LATE)
    assert life.good(LATE)
    assert life.next_step(LATE + PAUSE_SECONDS - 0.1) is Step.USE
    assert life.next_step(LATE + PAUSE_SECONDS) is Step.FETCH


def test_a_token_that_is_about_to_end_is_of_no_use() -> None:
    life = fresh()
    end = HOUR - SPARE_SECONDS
    assert [life.next_step(end) for _ in range(2)] == [Step.FETCH, Step.WAIT]
    life.failed(end)
    assert not life.good(end)
    assert life.next_step(end) is Step.FETCH


def test_whoever_leaves_is_followed_by_the_next() -> None:
    life = TokenLife()
    assert life.next_step(0.0) is Step.FETCH
    life.abandoned()
    assert [life.next_step(0.0) for _ in range(2)] == [Step.FETCH, Step.WAIT]


def test_a_token_that_was_refused_is_forgotten_unless_there_is_another() -> None:
    life = fresh()
    life.refused("an older one")
    assert life.next_step(1.0) is Step.USE
    life.refused("one")
    assert life.next_step(1.0) is Step.FETCH


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["need", "fetched", "failed", "left", "refused"]),
            st.floats(0, 2000),
        ),
        max_size=60,
    )
)
def test_at_most_one_fetches_and_nobody_uses_a_token_that_is_over(
    steps: list[tuple[str, float]],
) -> None:
    life, now, ends, fetching = TokenLife(), 0.0, 0.0, False
    for what, seconds in steps:
        now += seconds
        if what == "need":
            step = life.next_step(now)
            assert not (fetching and step is Step.FETCH)
            assert step is not Step.WAIT or fetching
            if step is Step.USE:
                assert now < ends - SPARE_SECONDS
            fetching = fetching or step is Step.FETCH
        elif what == "refused":
            life.refused(life.value)
        elif fetching:
            fetching = False
            if what == "fetched":
                ends = now + HOUR
                life.fetched(f"at {now}", ends)
            elif what == "failed":
                life.failed(now)
            else:
                life.abandoned()
