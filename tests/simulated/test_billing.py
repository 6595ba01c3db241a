"""Money through the whole gateway, in virtual time: what is held, what is charged, and who is refused."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from limiter.demand import Limits
from router.billing.balances import PATIENCE_SECONDS, SETTLED_SECONDS
from router.config import RaceConfig
from router.config.schema import RateTable
from router.ledger.money import MOST_NANODOLLARS
from router.simulator import Behaviour, Latency, Profile
from tests.simulated.money_world import (
    ACCOUNT,
    INPUT,
    OUTPUT,
    Shop,
    cost,
    open_shop,
    priced,
)
from tests.simulated.race_world import race_config
from tests.simulated.rescue_world import STORY, rescue_config, story_fields
from tests.simulated.rescue_world import plan as plan_rescue
from tests.simulated.world import MODEL, Client, ClientAnswer, chat_fields, in_virtual_time

PROMPT = 6  # tokens of the small prompt, as the simulated provider counts
PROMPT_HELD = 200 * INPUT  # more than is ever held for it
SLOW = Profile(ttft=Latency.fixed(2.0))
STEADY = Profile(ttft=Latency.fixed(0.5), gap=Latency.fixed(0.01))


def error_of(answer: ClientAnswer) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def chunks(answer: ClientAnswer) -> list[dict[str, Any]]:
    *chunks, done = answer.events()
    assert done == b"[DONE]"
    return [msgspec.json.decode(chunk) for chunk in chunks]


def accumulated(answer: ClientAnswer) -> ChatCompletion:
    """What the official SDK makes of a stream."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks(answer):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot


async def ask_in_the_background(shop: Shop, nursery: trio.Nursery, **fields: Any) -> None:
    nursery.start_soon(lambda: shop.ask(shop.buyers[0], **fields))
    await trio.testing.wait_all_tasks_blocked()


# What is held, and what is charged


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_call_holds_what_it_may_cost_then_owes_what_it_did_until_that_is_booked(
    stream: bool,
) -> None:
    async def scenario() -> None:
        async with open_shop(SLOW) as shop:
            shop.buyer()
            async with trio.open_nursery() as nursery:
                simulate = {"tokens": 10}
                await ask_in_the_background(
                    shop, nursery, max_tokens=50, stream=stream, simulate=simulate
                )
                assert 50 * OUTPUT < shop.held() < 50 * OUTPUT + PROMPT_HELD
            [settlement] = shop.settlements
            assert settlement.charge_nanodollars == cost(PROMPT, 10)
            assert (settlement.tokens.input, settlement.tokens.output) == (PROMPT, 10)
            assert (settlement.outcome, settlement.estimated) == ("completed", False)
            assert shop.held() == cost(PROMPT, 10)
            await trio.sleep(30)
            assert shop.held() == cost(PROMPT, 10), "the books have not heard of it"
            shop.tell(shop.book())
            await trio.sleep(SETTLED_SECONDS - 0.2)
            assert shop.held() == cost(PROMPT, 10), "somebody may not have read the balance yet"
            await trio.sleep(1.0)
            assert shop.held() == 0
            assert shop.credit[ACCOUNT] == 10**9 - cost(PROMPT, 10)

    in_virtual_time(scenario)


def test_cached_and_written_and_reasoning_tokens_have_their_own_prices() -> None:
    async def scenario() -> None:
        config = priced()
        rates = RateTable(input=1, output=10, cache_read=0.1, cache_write=1.25, reasoning=20)
        config.money.prices[MODEL] = rates
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
        async with open_shop(config=config) as shop:
            who = shop.buyer()
            answer = await shop.ask(who, max_tokens=50, simulate={"extra": {"usage": usage}})
            assert answer.status == 200
            [settlement] = shop.settlements
            read = 52 * 1_000 + 40 * 100 + 8 * 1_250
            assert settlement.charge_nanodollars == read + 6 * 10_000 + 3 * 20_000

    in_virtual_time(scenario)


def test_a_count_that_cannot_be_is_charged_as_what_can_be_booked() -> None:
    async def scenario() -> None:
        config = priced()
        config.money.prices[MODEL] = RateTable(input=10_000, output=10_000)
        absurd = {"prompt_tokens": 10**17, "completion_tokens": 10**17}
        async with open_shop(config=config, credit=10**12) as shop:
            who = shop.buyer()
            answer = await shop.ask(who, max_tokens=50, simulate={"extra": {"usage": absurd}})
            assert answer.status == 200
            assert shop.settlements[0].charge_nanodollars == MOST_NANODOLLARS

    in_virtual_time(scenario)


@pytest.mark.parametrize("choices", [1, 3])
def test_every_choice_is_held_and_charged(choices: int) -> None:
    async def scenario() -> None:
        async with open_shop(SLOW) as shop:
            shop.buyer()
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, max_tokens=50, n=choices)
                assert 0 < shop.held() - 50 * choices * OUTPUT < PROMPT_HELD
            tokens = shop.settlements[0].tokens
            assert shop.settlements[0].charge_nanodollars == cost(PROMPT, tokens.output)
            assert tokens.output > 20 * choices

    in_virtual_time(scenario)


def test_i4_a_client_that_left_pays_for_the_prompt_and_what_was_written() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY) as shop:
            who = shop.buyer()
            fields = chat_fields(stream=True, max_tokens=400, simulate={"tokens": 400})
            client = Client(msgspec.json.encode(fields))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shop.run, who, client)
                await trio.sleep(1.5)
                client.leave()
            [settlement] = shop.settlements
            assert (settlement.outcome, settlement.estimated) == ("client_left", True)
            tokens = settlement.tokens
            assert 60 < tokens.output < 250, "a hundred tokens, by a guess from their bytes"
            assert settlement.charge_nanodollars == cost(tokens.input, tokens.output)
            assert shop.held() == settlement.charge_nanodollars

    in_virtual_time(scenario)


def test_a_guess_of_what_was_written_is_never_above_the_cap() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            behaviour = {"omit_usage": True, "tokens": 20}
            await shop.ask(who, max_tokens=20, stream=True, simulate=behaviour)
            [settlement] = shop.settlements
            assert settlement.estimated
            assert settlement.tokens.output == 20, "its bytes look like more"

    in_virtual_time(scenario)


@pytest.mark.parametrize("fault", [{"status": 500}, {"cut_after": 5}, {"error_event_after": 3}])
def test_i4_an_answer_that_an_upstream_spoilt_is_free(fault: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            await shop.ask(who, stream=True, simulate=fault)
            [settlement] = shop.settlements
            assert (settlement.outcome, settlement.charge_nanodollars) == ("upstream_failed", 0)
            assert settlement.tokens.output == settlement.tokens.input == 0
            assert (settlement.operator_nanodollars > 0) == ("status" not in fault)
            assert shop.held() == 0

    in_virtual_time(scenario)


def test_accounts_that_are_not_prepaid_hold_nothing_and_are_priced_all_the_same() -> None:
    async def scenario() -> None:
        async with open_shop(SLOW, credit=0) as shop:
            shop.buyer(prepaid=False)
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, simulate={"tokens": 10})
                assert shop.held() == 0
            [settlement] = shop.settlements
            assert not settlement.billed
            assert settlement.charge_nanodollars == cost(PROMPT, 10)

    in_virtual_time(scenario)


# Who is refused


def test_an_empty_account_is_told_so_with_the_figures() -> None:
    async def scenario() -> None:
        async with open_shop(credit=40 * OUTPUT) as shop:
            answer = await shop.ask(shop.buyer(), max_tokens=50)
            assert answer.status == 402
            error = error_of(answer)
            assert (error["code"], error["type"]) == ("insufficient_credits", "insufficient_quota")
            assert "this request may cost $0.00060" in error["message"]
            assert "the account has $0.0004 left" in error["message"]
            assert "retry-after" not in answer.headers
            assert not shop.world.simulator.requests
            assert not shop.settlements

    in_virtual_time(scenario)


def test_credit_that_running_calls_hold_is_told_apart_from_none() -> None:
    async def scenario() -> None:
        async with open_shop(SLOW, credit=80 * OUTPUT) as shop:
            who = shop.buyer()
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, max_tokens=50)
                answer = await shop.ask(who, max_tokens=50)
            assert answer.status == 402
            error = error_of(answer)
            assert (error["code"], error["type"]) == ("credits_held", "insufficient_quota")
            assert "of $0.0008, running calls hold all but $0.00019" in error["message"]
            assert "this request may cost $0.00060" in error["message"]
            assert int(answer.headers["retry-after"]) >= 1
            assert len(shop.world.simulator.requests) == 1

    in_virtual_time(scenario)


def test_a_call_waits_a_moment_for_credit_that_others_give_back() -> None:
    async def scenario() -> None:
        config = priced(wait=5.0)
        async with open_shop(SLOW, credit=80 * OUTPUT, config=config) as shop:
            who = shop.buyer()
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, max_tokens=50, simulate={"tokens": 5})
                answer = await shop.ask(who, max_tokens=50, simulate={"tokens": 5})
            assert answer.status == 200
            assert answer.head_at == pytest.approx(4.0, abs=0.1)

    in_virtual_time(scenario)


def test_a_call_that_waited_is_judged_by_the_credit_that_there_is_by_then() -> None:
    async def scenario() -> None:
        config = priced(wait=5.0)
        async with open_shop(SLOW, credit=80 * OUTPUT, config=config) as shop:
            who = shop.buyer()
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, max_tokens=50, simulate={"tokens": 50})

                async def book_at_once() -> None:
                    await trio.sleep(2.1)
                    shop.tell(shop.book())

                nursery.start_soon(book_at_once)
                answer = await shop.ask(who, max_tokens=50)
            assert answer.status == 402, "it was let in by a balance of seconds ago"
            assert error_of(answer)["code"] == "insufficient_credits"

    in_virtual_time(scenario)


def test_a_top_up_counts_within_a_moment() -> None:
    async def scenario() -> None:
        async with open_shop(credit=0) as shop:
            who = shop.buyer()
            assert (await shop.ask(who, max_tokens=50)).status == 402
            shop.credit[ACCOUNT] = 10**9
            await trio.sleep(0.5)
            assert (await shop.ask(who, max_tokens=50)).status == 200

    in_virtual_time(scenario)


def test_a_keys_budget_is_spent_and_held_like_credit() -> None:
    async def scenario() -> None:
        async with open_shop(SLOW) as shop:
            first, other = shop.buyer(budget=80 * OUTPUT, prepaid=False), shop.buyer(prepaid=False)
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, max_tokens=50, simulate={"tokens": 50})
                assert error_of(await shop.ask(first, max_tokens=50))["code"] == "credits_held"
                assert (await shop.ask(other, max_tokens=50)).status == 200
            assert shop.held(f"key:{first.key.id}") == cost(PROMPT, 50)
            await shop.close_the_day()
            answer = await shop.ask(first, max_tokens=50)
            assert error_of(answer)["code"] == "insufficient_credits"
            assert "the key's budget has $0.000294 left" in error_of(answer)["message"]
            assert (await shop.ask(other, max_tokens=50)).status == 200

    in_virtual_time(scenario)


def test_the_smaller_of_credit_and_budget_decides_how_far_a_call_goes() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY, credit=300 * OUTPUT) as shop:
            who = shop.buyer(budget=200 * OUTPUT)
            answer = await shop.ask(who, stream=True, simulate={"tokens": 900})
            assert chunks(answer)[-1]["choices"][0]["finish_reason"] == "length"
            assert 100 * OUTPUT < shop.settlements[0].charge_nanodollars <= 200 * OUTPUT

    in_virtual_time(scenario)


def test_i3_a_model_without_a_price_is_not_sold() -> None:
    async def scenario() -> None:
        config = priced(race_config("a", "b"))
        del config.money.prices["a/m"]
        async with open_shop(config=config, hosts="ab") as shop:
            who = shop.buyer()
            assert (await shop.ask(who, model="m")).headers["x-syze-provider"] == "b"
            answer = await shop.ask(who, model="a/m")
            assert (answer.status, error_of(answer)["code"]) == (403, "model_not_priced")
            assert not shop.world.simulators["a"].requests

    in_virtual_time(scenario)


def test_what_is_held_more_for_a_stream_is_no_request_of_its_own() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY) as shop:
            who = shop.buyer(limits=Limits(requests=2, concurrency=2))
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, stream=True, simulate={"tokens": 5000})
                await trio.sleep(40)
                assert (await shop.ask(who, max_tokens=5)).status == 200

    in_virtual_time(scenario)


# How far credit goes


def test_a_stream_without_a_cap_holds_more_as_it_goes_on() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY) as shop:
            who = shop.buyer()
            async with trio.open_nursery() as nursery:
                await ask_in_the_background(shop, nursery, stream=True, simulate={"tokens": 4000})
                assert 1000 * OUTPUT < shop.held() < 1000 * OUTPUT + PROMPT_HELD
                await trio.sleep(30)
                assert shop.held() > 3000 * OUTPUT
            [settlement] = shop.settlements
            assert settlement.charge_nanodollars == cost(PROMPT, 4000)
            assert shop.held() == cost(PROMPT, 4000)
            del who

    in_virtual_time(scenario)


@pytest.mark.parametrize("asked", [False, True], ids=["no usage", "usage"])
@pytest.mark.parametrize("choices", [1, 2])
def test_a_stream_is_ended_by_the_book_where_credit_ends(asked: bool, choices: int) -> None:
    async def scenario() -> None:
        credit = 600 * OUTPUT
        async with open_shop(STEADY, credit=credit) as shop:
            who = shop.buyer()
            options = {"include_usage": True} if asked else None
            answer = await shop.ask(
                who,
                stream=True,
                n=choices,
                stream_options=options,
                simulate={"tokens": 3000},
            )
            assert answer.finished
            completion = accumulated(answer)
            assert [choice.finish_reason for choice in completion.choices] == ["length"] * choices
            text = completion.choices[0].message.content
            assert text
            assert text.startswith(answer.text()[:50])
            [settlement] = shop.settlements
            assert settlement.outcome == "completed"
            assert 300 * OUTPUT < settlement.charge_nanodollars <= credit
            told = completion.usage
            assert (told is not None) == asked
            if told is not None:
                assert cost(told.prompt_tokens, told.completion_tokens) == (
                    settlement.charge_nanodollars
                )
            await trio.testing.wait_all_tasks_blocked()
            assert shop.world.simulator.aborted == 1, "the provider goes on writing"

    in_virtual_time(scenario)


def test_what_comes_in_one_piece_is_not_sold_beyond_the_credit() -> None:
    async def scenario() -> None:
        credit = 300 * OUTPUT
        async with open_shop(STEADY, credit=credit) as shop:
            who = shop.buyer()
            simulate = {"tokens": 3000, "coalesce": 1000}
            answer = await shop.ask(who, stream=True, simulate={**simulate, "no_role": True})
            assert chunks(answer)[-1]["choices"][0]["finish_reason"] == "length"
            assert shop.settlements[0].charge_nanodollars <= credit

    in_virtual_time(scenario)


def test_credit_that_is_topped_up_meanwhile_lets_a_stream_go_on() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY, credit=600 * OUTPUT) as shop:
            who = shop.buyer()

            async def top_up() -> None:
                await trio.sleep(2)
                shop.credit[ACCOUNT] += 10**9

            async with trio.open_nursery() as nursery:
                nursery.start_soon(top_up)
                answer = await shop.ask(who, stream=True, simulate={"tokens": 3000})
            assert chunks(answer)[-1]["choices"][0]["finish_reason"] == "stop"

    in_virtual_time(scenario)


def test_credit_that_others_spend_meanwhile_ends_a_stream() -> None:
    async def scenario() -> None:
        async with open_shop(STEADY, credit=2000 * OUTPUT) as shop:
            who = shop.buyer()

            async def spend() -> None:
                await trio.sleep(2)
                await shop.ask(who, max_tokens=900, simulate={"tokens": 900, "gap": 0.0})
                shop.tell(shop.book())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(spend)
                answer = await shop.ask(who, stream=True, simulate={"tokens": 3000})
            assert chunks(answer)[-1]["choices"][0]["finish_reason"] == "length"
            await shop.close_the_day()
            assert shop.lost == 0
            assert 0 <= shop.credit[ACCOUNT] < 400 * OUTPUT

    in_virtual_time(scenario)


def test_the_meter_counts_both_halves_of_a_rescued_answer() -> None:
    async def scenario() -> None:
        credit = 900 * OUTPUT
        config = priced(rescue_config())
        async with open_shop(STEADY, credit=credit, config=config, hosts=("one", "two")) as shop:
            who = shop.buyer()
            plan_rescue(shop.world, Behaviour(tokens=3000, cut_after=300), Behaviour(tokens=3000))
            fields = story_fields(stream_options={"include_usage": True})
            answer = await shop.ask(who, **{**fields, "model": STORY})
            completion = accumulated(answer)
            assert completion.choices[0].finish_reason == "length"
            [settlement] = shop.settlements
            assert settlement.outcome == "rescued"
            assert settlement.charge_nanodollars <= credit
            told = completion.usage
            assert told is not None
            assert told.completion_tokens == settlement.tokens.output > 350
            assert settlement.operator_nanodollars > 0, "the rescuer has read it all again"

    in_virtual_time(scenario)


@pytest.mark.parametrize("choices", [1, 2])
def test_a_whole_answer_without_a_cap_is_given_one_that_its_credit_pays_for(choices: int) -> None:
    async def scenario() -> None:
        credit = 600 * OUTPUT
        async with open_shop(credit=credit) as shop:
            who = shop.buyer()
            answer = await shop.ask(who, n=choices, simulate={"tokens": 5000})
            [request] = shop.world.simulator.requests
            cap = request.json()["max_completion_tokens"]
            assert 500 < cap * choices <= 600
            assert [one["finish_reason"] for one in answer.json()["choices"]] == (
                ["length"] * choices
            )
            assert shop.settlements[0].charge_nanodollars == cost(PROMPT, cap * choices) <= credit

    in_virtual_time(scenario)


def test_a_guess_of_a_whole_answer_is_not_above_the_cap_that_it_was_given() -> None:
    async def scenario() -> None:
        credit = 60 * OUTPUT
        async with open_shop(credit=credit) as shop:
            who = shop.buyer()
            await shop.ask(who, simulate={"tokens": 5000, "omit_usage": True})
            [settlement] = shop.settlements
            assert settlement.estimated
            assert 30 * OUTPUT < settlement.charge_nanodollars <= credit

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_cap_of_the_clients_own_is_left_as_it_is(field: str, stream: bool) -> None:
    async def scenario() -> None:
        async with open_shop(credit=80 * OUTPUT) as shop:
            fields = {field: 50, "stream": stream, "simulate": {"tokens": 50}}
            assert (await shop.ask(shop.buyer(), **fields)).status == 200
            [request] = shop.world.simulator.requests
            sent = request.json()
            assert {name: sent.get(name) for name in ("max_tokens", "max_completion_tokens")} == {
                "max_tokens": None,
                "max_completion_tokens": None,
                field: 50,
            }

    in_virtual_time(scenario)


def test_an_absurd_cap_is_refused_and_breaks_nothing() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            answer = await shop.ask(shop.buyer(), max_tokens=10**17)
            assert (answer.status, error_of(answer)["code"]) == (402, "insufficient_credits")
            on_account = shop.buyer(prepaid=False)
            assert (await shop.ask(on_account, max_tokens=10**17)).status == 200

    in_virtual_time(scenario)


# When the books cannot be written, or read


@pytest.mark.parametrize("prepaid", [False, True], ids=["on account", "prepaid"])
def test_nobody_is_served_while_ends_could_not_be_written_down(prepaid: bool) -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer(prepaid=prepaid)
            shop.world.notebook.accepts = False
            answer = await shop.ask(who)
            assert (answer.status, error_of(answer)["code"]) == (503, "books_unavailable")
            assert not shop.world.simulator.requests
            shop.world.notebook.accepts = True
            assert (await shop.ask(who)).status == 200

    in_virtual_time(scenario)


def test_a_whole_answer_whose_end_cannot_be_written_down_is_an_error() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            shop.world.notebook.fails = True
            answer = await shop.ask(who, max_tokens=50)
            assert (answer.status, error_of(answer)["code"]) == (503, "books_unavailable")
            [lost] = shop.world.notebook.lost
            assert lost.charge_nanodollars > 0
            assert shop.held() == 0

    in_virtual_time(scenario)


def test_a_stream_whose_end_cannot_be_written_down_does_not_end_well() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            shop.world.notebook.fails = True
            answer = await shop.ask(who, stream=True, simulate={"tokens": 20})
            *_, last = answer.events()
            assert msgspec.json.decode(last)["error"]["code"] == "books_unavailable"
            assert not answer.finished
            assert b"[DONE]" not in answer.body
            assert len(shop.world.notebook.lost) == 1
            assert shop.held() == 0

    in_virtual_time(scenario)


def test_a_reading_that_is_overdue_is_waited_for() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            shop.reading = False
            await trio.sleep(3.0)

            async def read_again() -> None:
                await trio.sleep(2.0)
                shop.reading = True

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read_again)
                asked_at = trio.current_time()
                answer = await shop.ask(who, max_tokens=5)
            assert answer.status == 200
            assert 1.9 < answer.head_at - asked_at < 2.5

    in_virtual_time(scenario)


def test_nothing_is_sold_on_a_balance_that_nobody_can_read() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who, other = shop.buyer(), shop.buyer("acc_other")
            shop.credit["acc_other"] = 10**9
            shop.reading = False
            await trio.sleep(3.0)
            asked_at = trio.current_time()
            answer = await shop.ask(who, max_tokens=5)
            assert (answer.status, error_of(answer)["code"]) == (503, "books_unavailable")
            assert answer.head_at - asked_at == pytest.approx(PATIENCE_SECONDS)
            del other
            shop.reading = True

    in_virtual_time(scenario)


def test_a_database_that_is_away_is_outlived_for_as_long_as_is_configured() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer()
            assert (await shop.ask(who, max_tokens=5)).status == 200
            shop.tell(shop.book())
            await trio.sleep(5.1)  # and not in the middle of a reading
            assert shop.held() == 0
            shop.reading = False
            shop.world.gateway.billing.balances.away()
            await trio.sleep(50.0)
            assert (await shop.ask(who, max_tokens=5)).status == 200
            shop.tell(shop.book())
            await trio.sleep(5.0)
            assert shop.held() > 0, "nobody has read the balance since"
            await trio.sleep(6.0)
            answer = await shop.ask(who, max_tokens=5)
            assert (answer.status, error_of(answer)["code"]) == (503, "books_unavailable")
            shop.reading = True
            await trio.sleep(0.5)
            assert (await shop.ask(who, max_tokens=5)).status == 200

    in_virtual_time(scenario)


def test_a_database_that_is_away_says_nothing_of_who_did_not_call_before() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            known, stranger = shop.buyer(), shop.buyer("acc_other")
            shop.credit["acc_other"] = 10**9
            assert (await shop.ask(known, max_tokens=5)).status == 200
            await trio.sleep(0.1)  # and not in the middle of a reading
            shop.reading = False
            shop.world.gateway.billing.balances.away()
            assert (await shop.ask(known, max_tokens=5)).status == 200
            answer = await shop.ask(stranger, max_tokens=5)
            assert (answer.status, error_of(answer)["code"]) == (503, "books_unavailable")
            shop.reading = True
            await trio.sleep(0.5)
            assert (await shop.ask(stranger, max_tokens=5)).status == 200

    in_virtual_time(scenario)


# What the operator bears


def test_i4_what_a_lost_hedge_cost_is_the_operators_and_on_no_customers_bill() -> None:
    async def scenario() -> None:
        race = RaceConfig(budget_ratio=1.0)
        config = priced(race_config("ab", model={"hedge": 0.5}, race=race), markup=2.0)
        async with open_shop(config=config, hosts="ab") as shop:
            shop.world.simulators["a"].plan(Behaviour(ttft=3.0, tokens=10))
            shop.world.simulators["b"].plan(Behaviour(ttft=0.1, tokens=10))
            answer = await shop.ask(shop.buyer(), model="m", stream=True, max_tokens=20)
            assert answer.headers["x-syze-hedged"] == "true"
            [settlement] = shop.settlements
            assert settlement.charge_nanodollars == 2 * cost(PROMPT, 10), "the sale price"
            loser = shop.world.gateway.bills[0].bill.charges[0].usage
            assert loser.input_tokens > 0
            assert settlement.operator_nanodollars == cost(loser.input_tokens, 0), "the cost price"

    in_virtual_time(scenario)


def test_i4_attempts_that_failed_are_the_operators() -> None:
    async def scenario() -> None:
        config = priced(race_config("a", "b", race=RaceConfig(budget_ratio=1.0)))
        async with open_shop(config=config, hosts="ab") as shop:
            shop.world.simulators["a"].plan(Behaviour(silence=True))
            shop.world.simulators["b"].plan(Behaviour(tokens=10))
            answer = await shop.ask(shop.buyer(), model="m", max_tokens=20)
            assert answer.headers["x-syze-provider"] == "b"
            [settlement] = shop.settlements
            assert settlement.charge_nanodollars == cost(PROMPT, 10)
            assert settlement.operator_nanodollars > 0
            assert settlement.provider == "b"

    in_virtual_time(scenario)


def test_i4_what_is_found_out_late_is_the_operators_and_counts_no_request() -> None:
    async def scenario() -> None:
        race = RaceConfig(budget_ratio=1.0, drain_seconds=20.0)
        config = priced(race_config("ab", model={"hedge": 0.5}, race=race))
        profile = Profile(ttft=Latency.fixed(0.2), tokens=12)
        async with open_shop(profile, config=config, hosts="ab") as shop:
            async with trio.open_nursery() as nursery:
                await nursery.start(shop.world.gateway.drains.run)
                shop.world.simulators["a"].plan(Behaviour(ttft=3.0))
                await shop.ask(shop.buyer(), model="m", stream=True, max_tokens=20)
                await trio.sleep(10)
                nursery.cancel_scope.cancel()
            first, late = shop.settlements
            assert late.request_id == f"{first.request_id}:drained0"
            assert (late.account_id, late.key_id) == (first.account_id, first.key_id)
            assert (late.requests, late.charge_nanodollars, late.billed) == (0, 0, False)
            both = first.operator_nanodollars + late.operator_nanodollars
            [charge] = shop.world.gateway.late[0].charges
            assert charge.usage.output_tokens == 12
            assert both >= cost(PROMPT, 12)
            assert first.charge_nanodollars == cost(PROMPT, 12)

    in_virtual_time(scenario)


def test_a_name_that_no_database_would_take_is_booked_all_the_same() -> None:
    async def scenario() -> None:
        async with open_shop() as shop:
            who = shop.buyer(prepaid=False)
            for name in ("strange\u0000\u202emodel", "m" * 700):
                answer = await shop.ask(who, model=f"openai/{name}")
                assert answer.status in {200, 404}
            assert all(one.model.isprintable() for one in shop.settlements)

    in_virtual_time(scenario)
