"""PostgreSQL goes away under load and comes back: nobody is refused meanwhile, and the books are exact."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
import trio

from router.simulator import Latency, Profile, Simulator
from tests.conftest import SIZE
from tests.e2e.postgres_server import PostgresServer
from tests.e2e.process import GatewayProcess, wait_until
from tests.e2e.provider import serving
from tests.e2e.till import Till

AWAY_SECONDS = 30.0 if SIZE >= 10 else 4.0
CLIENTS = 10
CREDIT = 10**12
PROFILE = Profile(ttft=Latency.lognormal(0.05, 0.5), gap=Latency.lognormal(0.002, 0.5), tokens=20)


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    yield postgres_server
    if not postgres_server.running:
        postgres_server.start()


def test_a_store_that_goes_and_comes_loses_no_request_and_no_charge(
    server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    simulator = Simulator(PROFILE)
    with (
        serving(simulator) as port,
        closing(Till(tmp_path, (port, port), database_url=postgres_url)) as till,
    ):
        till.pay_in(CREDIT)
        with till.serving() as process:
            trio.run(load_while_away, till, process, server)
            count = sum(seen.ending == "whole" for seen in till.seen.values())
            wait_until("all is booked", lambda: len(till.booked()) >= count)
            wait_until("nothing is held", lambda: till.held() == 0)
        endings = Counter((seen.ending, seen.code) for seen in till.seen.values())
        assert endings == {("whole", None): count}
        assert len(till.check_books(CREDIT)) == count == simulator.completed
        assert till.left_in_journals() == []
        assert till.book.operator_balances().get("operator:losses", 0) == 0


async def load_while_away(till: Till, process: GatewayProcess, server: PostgresServer) -> None:
    """Ask all the time; stop the server, and start it again after a while."""
    over = trio.Event()

    async def ask(rng: Random) -> None:
        while not over.is_set():
            await till.ask(process, stream=rng.random() < 0.5, max_tokens=40)
            await trio.sleep(rng.uniform(0, 0.05))

    async with trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            nursery.start_soon(ask, Random(number))
        await trio.sleep(1)
        before = len(till.seen)
        await trio.to_thread.run_sync(server.stop)
        await trio.sleep(AWAY_SECONDS)
        assert len(till.seen) > before + 5 * AWAY_SECONDS, "it went on serving"
        await trio.to_thread.run_sync(server.start)
        await trio.sleep(1)
        over.set()
