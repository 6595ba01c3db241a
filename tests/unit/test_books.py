"""Bills, case by case: one row a way in which a request can end, and who pays what then (I4)."""

from random import Random
from typing import Any

import pytest

from adapters.dialect import Usage
from router.errors import StreamBroken, UpstreamOverloaded, UpstreamTimeout
from router.exchange.books import Bill, Books, Ending, Payer, Role, Whose
from router.exchange.live import Fate, HedgeSettings, LiveEndpoints, Run
from tests.unit.test_exchange_endpoint import candidate

PROMPT = 100
TOLD = Usage(input_tokens=90, output_tokens=12)
NOTHING = Usage()


def estimate(read: int, wrote: int = 0) -> Usage:
    return Usage(input_tokens=read, output_tokens=wrote, estimated=True)


class Request:
    """The books of one request, and its attempts; four bytes of text are a token."""

    def __init__(self) -> None:
        self._live = LiveEndpoints("syzeai/1", HedgeSettings())
        whose = Whose(request_id="req_1", account_id="acc_1", key_id="key_1")
        self.books = Books(whose, PROMPT, lambda size: size // 4)

    def attempt(self, *, at: str = "m", hedge: bool = False, asked: bool = True) -> Run:
        run = Run(self._live.of(candidate(upstream_model=at)).contender("stream"), 0.0)
        self.books.begun(run, hedge=hedge)
        if asked:
            run.has_asked = True
        return run

    def winner(self, usage: Usage | None, text: int = 0, *, whole: bool = False, **how: Any) -> Run:
        run = self.attempt(**how)
        run.committed(1.0)
        self.books.note(run, usage, text, whole=whole)
        return run

    def broken(self, usage: Usage | None, text: int) -> Run:
        run = self.winner(usage, text)
        run.failed(StreamBroken("cut"), now=2.0, rng=Random(1))
        return run

    def refused(self) -> None:
        self.attempt().failed(UpstreamOverloaded("no"), now=1.0, rng=Random(1))

    def silent(self, *, asked: bool = True) -> None:
        self.attempt(asked=asked).failed(UpstreamTimeout("late"), now=1.0, rng=Random(1))

    def close(self, ending: Ending) -> list[tuple[Role, Fate, Payer, Usage]]:
        return rows(self.books.close(ending))


def rows(bill: Bill) -> list[tuple[Role, Fate, Payer, Usage]]:
    return [(one.role, one.fate, one.payer, one.usage) for one in bill.charges]


@pytest.mark.parametrize(
    ("usage", "text", "paid"),
    [
        (TOLD, 40, TOLD),
        (TOLD, 4000, TOLD),  # a provider's count is not argued with
        (None, 40, estimate(PROMPT, 10)),
        (Usage(input_tokens=90), 40, estimate(90, 10)),  # text does not come of no token
        (Usage(input_tokens=90), 0, Usage(input_tokens=90)),
    ],
)
def test_a_whole_answer_costs_what_its_provider_counted(
    usage: Usage | None, text: int, paid: Usage
) -> None:
    request = Request()
    request.winner(usage, text, whole=True).completed(2.0)
    assert request.close("whole") == [(Role.FIRST, Fate.SERVED, "customer", paid)]


def test_what_lost_or_failed_before_a_whole_answer_is_the_operators() -> None:
    request = Request()
    request.refused()
    request.silent()
    loser = request.attempt()
    winner = request.winner(TOLD, 40, whole=True, hedge=True)
    loser.abandoned(1.0)
    winner.completed(2.0)
    assert request.close("whole") == [
        (Role.FIRST, Fate.REFUSED, "operator", NOTHING),
        (Role.RETRY, Fate.SILENT, "operator", estimate(PROMPT)),
        (Role.RETRY, Fate.ABANDONED, "operator", estimate(PROMPT)),
        (Role.HEDGE, Fate.SERVED, "customer", TOLD),
    ]


def test_what_was_never_sent_costs_nobody_anything() -> None:
    request = Request()
    request.silent(asked=False)
    request.attempt(asked=False).abandoned(1.0)
    assert [row[2:] for row in request.close("left")] == [("operator", NOTHING)] * 2


def test_a_request_without_any_attempt_has_an_empty_bill() -> None:
    bill = Request().books.close("failed")
    assert bill.charges == ()
    assert bill.customer is None


@pytest.mark.parametrize(
    ("usage", "cost"), [(None, estimate(PROMPT, 10)), (TOLD, TOLD)], ids=["untold", "told"]
)
def test_an_answer_that_broke_for_good_is_free_and_the_operator_knows_its_cost(
    usage: Usage | None, cost: Usage
) -> None:
    request = Request()
    request.broken(usage, 40)
    assert request.close("failed") == [(Role.FIRST, Fate.BROKEN, "operator", cost)]


@pytest.mark.parametrize(
    ("told", "paid"),
    [
        (Usage(input_tokens=95, output_tokens=17, estimated=True), None),
        (None, estimate(PROMPT, 10 + 7)),
    ],
    ids=["told", "untold"],
)
def test_a_rescued_answer_costs_one_prompt_and_all_output(
    told: Usage | None, paid: Usage | None
) -> None:
    request = Request()
    request.broken(None, 40)
    request.books.rescuing()
    request.refused()
    request.winner(told, 28, whole=True).completed(3.0)
    assert request.close("whole") == [
        (Role.FIRST, Fate.BROKEN, "customer", paid or told),
        (Role.RESCUE, Fate.REFUSED, "operator", NOTHING),
        (Role.RESCUE, Fate.SERVED, "operator", estimate(PROMPT + 10)),  # it read all of it again
    ]


def test_a_rescue_that_breaks_as_well_is_free_and_both_are_the_operators() -> None:
    request = Request()
    request.broken(None, 40)
    request.books.rescuing()
    request.broken(None, 28)
    assert request.close("failed") == [
        (Role.FIRST, Fate.BROKEN, "operator", estimate(PROMPT, 10)),
        (Role.RESCUE, Fate.BROKEN, "operator", estimate(PROMPT + 10, 7)),
    ]


def test_a_client_that_leaves_in_the_middle_of_a_rescue_pays_for_both_parts_so_far() -> None:
    request = Request()
    request.broken(None, 40)
    request.books.rescuing()
    request.winner(None, 28).abandoned(3.0)
    assert request.close("left") == [
        (Role.FIRST, Fate.BROKEN, "customer", estimate(PROMPT, 17)),
        (Role.RESCUE, Fate.ABANDONED, "operator", estimate(PROMPT + 10)),
    ]


@pytest.mark.parametrize(
    ("usage", "text", "whole", "paid"),
    [
        (None, 40, False, estimate(PROMPT, 10)),
        (TOLD, 40, False, TOLD),
        (Usage(input_tokens=90, output_tokens=1), 40, False, estimate(90, 10)),  # told too early
        (
            Usage(input_tokens=90, output_tokens=1),
            40,
            True,
            Usage(input_tokens=90, output_tokens=1),
        ),
    ],
)
def test_a_client_that_leaves_pays_for_what_was_produced(
    usage: Usage | None, text: int, whole: bool, paid: Usage
) -> None:
    request = Request()
    request.winner(usage, text, whole=whole).abandoned(2.0)
    assert request.close("left") == [(Role.FIRST, Fate.ABANDONED, "customer", paid)]


def test_a_client_that_leaves_before_any_answer_pays_one_prompt() -> None:
    request = Request()
    request.refused()
    waiting, hedge = request.attempt(), request.attempt(hedge=True)
    waiting.abandoned(1.0)
    hedge.abandoned(1.0)
    assert request.close("left") == [
        (Role.FIRST, Fate.REFUSED, "operator", NOTHING),
        (Role.RETRY, Fate.ABANDONED, "customer", estimate(PROMPT)),
        (Role.HEDGE, Fate.ABANDONED, "operator", estimate(PROMPT)),
    ]


def test_a_client_that_leaves_while_nobody_is_at_work_for_it_pays_nothing() -> None:
    request = Request()
    request.refused()
    assert request.close("left") == [(Role.FIRST, Fate.REFUSED, "operator", NOTHING)]


def test_what_is_drained_before_the_bill_is_entered_in_it() -> None:
    request = Request()
    loser = request.attempt()
    request.winner(TOLD, 40, whole=True, hedge=True).completed(2.0)
    loser.abandoned(1.0)
    assert request.books.drained(loser, Usage(input_tokens=90, output_tokens=33)) is None
    first, _ = request.close("whole")
    assert first == (
        Role.FIRST,
        Fate.ABANDONED,
        "operator",
        Usage(input_tokens=90, output_tokens=33),
    )


def test_what_is_drained_after_the_bill_is_the_operators_less_what_was_billed() -> None:
    request = Request()
    left = request.winner(None, 40)
    left.abandoned(2.0)
    request.close("left")
    late = request.books.drained(left, Usage(input_tokens=120, output_tokens=64))
    assert late is not None
    assert late.ending == "drained"
    rest = Usage(input_tokens=20, output_tokens=54)
    assert rows(late) == [(Role.FIRST, Fate.ABANDONED, "operator", rest)]


def test_a_drain_that_finds_nothing_more_makes_no_bill() -> None:
    request = Request()
    left = request.winner(TOLD, 40)
    left.abandoned(2.0)
    request.close("left")
    assert request.books.drained(left, TOLD) is None


def test_the_drain_of_a_rescuer_is_held_against_the_customers_charge() -> None:
    """For it tells the usage of the whole answer, both parts of it."""
    request = Request()
    request.broken(None, 40)
    request.books.rescuing()
    rescuer = request.winner(None, 28)
    rescuer.abandoned(3.0)
    request.close("left")  # 17 tokens
    late = request.books.drained(rescuer, Usage(input_tokens=PROMPT, output_tokens=30))
    assert late is not None
    assert [row[3] for row in rows(late)] == [Usage(output_tokens=13)]


def test_a_drain_is_entered_for_its_own_attempt_even_if_its_endpoint_was_asked_again() -> None:
    request = Request()
    loser = request.attempt(at="slow")
    request.broken(None, 40)
    loser.abandoned(1.0)
    request.books.rescuing()
    request.winner(TOLD, 28, whole=True, at="slow").completed(3.0)
    request.books.drained(loser, Usage(input_tokens=90, output_tokens=5))
    usages = [row[3] for row in request.close("whole")]
    assert usages == [Usage(input_tokens=90, output_tokens=5), TOLD, estimate(PROMPT + 10)]


def test_a_charge_names_the_model_by_the_gateways_id() -> None:
    request = Request()
    run = request.winner(TOLD, 40, whole=True)
    run.completed(2.0)
    (charge,) = request.books.close("whole").charges
    endpoint = run.live.endpoint
    assert (charge.provider, charge.model) == (endpoint.provider, endpoint.target.served_model)
