"""Rankings through the whole gateway: answered, failed over, limited and paid for like anything else."""

from typing import Any

import msgspec
import pytest

from router.config import LimitsConfig, MoneyConfig
from router.config.schema import RateTable
from tests.simulated.money_world import ACCOUNT, open_shop
from tests.simulated.ranking_world import (
    MODELS,
    TOKENS_PER_DOCUMENT,
    put_ranker,
    ranking_config,
)
from tests.simulated.world import Client, in_virtual_time, open_world

RERANK = "/v1/rerank"
DOCUMENTS = ["none at all", "xx", "one x in this"]
ASKED: dict[str, Any] = {"model": "ranker", "query": "most x?", "documents": DOCUMENTS}
RANKS = [1, 2, 0]
TOKENS = 3 * TOKENS_PER_DOCUMENT
PRICE = 50  # nano-dollars a token: 0.05 US dollars per million


@pytest.mark.parametrize("path", [RERANK, "/rerank"])
@pytest.mark.parametrize("name", MODELS)
def test_every_provider_ranks_in_one_form(name: str, path: str) -> None:
    async def scenario() -> None:
        async with open_world(config=ranking_config(name), hosts=(name,)) as world:
            ranker = put_ranker(world, name)
            answer = await world.post(path, ASKED)
            assert answer.status == 200, answer.body
            body = answer.json()
            assert [one["index"] for one in body["results"]] == RANKS
            assert body["usage"] == {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
            assert answer.headers["x-syze-provider"] == name
            [request] = ranker.requests
            assert request.json()["model"] == MODELS[name]
            assert dict(request.headers)[b"authorization"] == b"Bearer an-upstream-key"
            [line] = world.log_lines()
            assert (line["endpoint"], line["input_tokens"]) == ("rerank", TOKENS)
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("status", [429, 500, 503, 401])
def test_a_provider_that_fails_is_followed_by_one_of_another_dialect(status: int) -> None:
    async def scenario() -> None:
        config = ranking_config("cohere", "voyage")
        async with open_world(config=config, hosts=("cohere", "voyage")) as world:
            put_ranker(world, "cohere", status, status)
            put_ranker(world, "voyage")
            answer = await world.post(RERANK, {**ASKED, "top_n": 1})
            assert answer.status == 200, answer.body
            assert [one["index"] for one in answer.json()["results"]] == RANKS[:1]
            assert answer.headers["x-syze-provider"] == "voyage"
            await world.leak_check()

    in_virtual_time(scenario)


def test_what_the_client_did_wrong_is_told_once_and_asked_of_nobody_else() -> None:
    async def scenario() -> None:
        config = ranking_config("jina", "voyage")
        async with open_world(config=config, hosts=("jina", "voyage")) as world:
            refusing, spared = put_ranker(world, "jina", 400), put_ranker(world, "voyage")
            answer = await world.post(RERANK, ASKED)
            assert (answer.status, answer.json()["error"]["message"]) == (400, "not now")
            assert (len(refusing.requests), len(spared.requests)) == (1, 0)
            answer = await world.post(RERANK, {**ASKED, "documents": []})
            assert (answer.status, answer.json()["error"]["param"]) == (400, "documents")
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_chat_model_does_not_rank() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.post(RERANK, {**ASKED, "model": "none-such"})
            assert answer.status == 404
            assert (await world.get(RERANK)).status == 405

    in_virtual_time(scenario)


def test_its_tokens_count_for_the_limits() -> None:
    async def scenario() -> None:
        config = ranking_config("jina")
        limits = LimitsConfig(tokens_per_minute=2 * TOKENS, wait_seconds=0)
        config = msgspec.structs.replace(config, limits=limits)
        async with open_world(config=config, hosts=("jina",)) as world:
            put_ranker(world, "jina")
            answer = await world.post(RERANK, ASKED)
            assert answer.status == 200
            answer = await world.post(RERANK, ASKED)
            left = int(answer.headers["x-ratelimit-remaining-tokens"])
            assert left <= 2 * TOKENS - TOKENS
            answers = [await world.post(RERANK, ASKED) for _ in range(3)]
            assert answers[-1].status == 429
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "guessed"])
def test_it_costs_what_its_input_does(counts: bool) -> None:
    async def scenario() -> None:
        config = ranking_config("jina")
        prices = {f"jina/{MODELS['jina']}": RateTable(input=PRICE / 1000, output=0)}
        config = msgspec.structs.replace(config, money=MoneyConfig(prices=prices))
        async with open_shop(config=config, hosts=("jina",)) as shop:
            put_ranker(shop.world, "jina", counts=counts)
            buyer = shop.buyer()
            client = Client(msgspec.json.encode(ASKED))
            headers = {"authorization": f"Bearer {buyer.secret}"}
            answer = await shop.world.run(client, RERANK, headers=headers)
            assert answer.status == 200, answer.body
            told = answer.json()["usage"]["total_tokens"]
            assert (told == TOKENS) is counts
            shop.tell(shop.book())
            assert shop.credit[ACCOUNT] == 10**9 - PRICE * told

    in_virtual_time(scenario)


def test_a_model_that_is_billed_by_the_search_has_no_price_and_is_not_sold() -> None:
    async def scenario() -> None:
        config = ranking_config("cohere")
        provider = msgspec.structs.replace(config.providers["cohere"], models=["rerank-v3.5"])
        config = msgspec.structs.replace(config, providers={"cohere": provider}, models={})
        async with open_shop(config=config, hosts=("cohere",)) as shop:
            ranker = put_ranker(shop.world, "cohere")
            buyer = shop.buyer()
            client = Client(msgspec.json.encode({**ASKED, "model": "cohere/rerank-v3.5"}))
            headers = {"authorization": f"Bearer {buyer.secret}"}
            answer = await shop.world.run(client, RERANK, headers=headers)
            assert answer.json()["error"]["code"] == "model_not_priced", answer.body
            assert not ranker.requests

    in_virtual_time(scenario)
