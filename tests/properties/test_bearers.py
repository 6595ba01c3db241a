"""One fetch at a time for a service account's token, whoever comes, leaves, waits or fails.

One example is a crowd that wants the token of one account over some hours, some of whom leave before they
have it, while the token service answers, fails, hangs or takes its time.
"""

from functools import partial
from typing import Any, NamedTuple

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from adapters.dialect import BadAnswer
from adapters.gemini.key_file import read_key_file
from router.exchange.bearers import Bearers
from router.routing.token_life import SPARE_SECONDS
from router.simulator import Behaviour, SeenRequest, Simulator
from router.simulator.performance import Performance
from router.simulator.vertex.token import check_token
from router.upstream.client import UpstreamClient
from router.upstream.origin import Origin
from tests.conftest import SIZE
from tests.simulated.dialect_world import passing_time
from tests.simulated.service_account import key_file, known_accounts
from tests.simulated.world import in_virtual_time

ACCOUNT = read_key_file(key_file().encode())
PATIENCE = 30.0
BEHAVIOURS: list[dict[str, Any]] = [
    {},
    {"ttft": 2.0},
    {"status": 503},
    {"status": 400, "delay_head": 1.0},
    {"malformed_at": 0},
    {"cut_after": 0},
    {"reset_before_head": True},
    {"silence": True},
]


class Comer(NamedTuple):
    """Comes so many seconds after the one before, and leaves after so many more, if at all."""

    after: float
    leaves: float | None


class TokenService(Simulator):
    """A token service that notes how many were asking it at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.most_at_once = 0

    def answer(self, request: SeenRequest) -> Performance:
        self.most_at_once = max(self.most_at_once, self.open_exchanges)
        return super().answer(request)


class Crowd:
    """The account's tokens, and what became of those who wanted one."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.service = TokenService(service_accounts=known_accounts(), wall_clock=passing_time)
        self.client = UpstreamClient(dial=self._dial)
        self.bearers = Bearers(self.client, passing_time)
        self.ends: list[str] = []

    async def _dial(self, origin: Origin) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, theirs = memory_stream_pair()
        self._nursery.start_soon(self.service.serve_stream, theirs)
        return ours

    async def come(self, comer: Comer) -> None:
        with trio.move_on_after(PATIENCE if comer.leaves is None else comer.leaves) as scope:
            try:
                token = await self.bearers.token_of(ACCOUNT)
            except BadAnswer:
                self.ends.append("failed")
                return
            check_token(token, frozenset(), now_at=passing_time() + SPARE_SECONDS - 1)
            self.ends.append("served")
        if scope.cancelled_caught:
            self.ends.append("left")


comers = st.builds(
    Comer,
    after=st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 4000)),
    leaves=st.none() | st.floats(0, 3),
)


@settings(max_examples=40 * SIZE)
@given(
    crowd=st.lists(comers, min_size=1, max_size=25),
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), max_size=8),
)
def test_one_asks_for_all_and_everybody_comes_to_an_end(
    crowd: list[Comer], behaviours: list[dict[str, Any]]
) -> None:
    in_virtual_time(partial(play, crowd, behaviours))


async def play(crowd: list[Comer], behaviours: list[dict[str, Any]]) -> None:
    async with trio.open_nursery() as servers:
        met = Crowd(servers)
        met.service.plan(*(Behaviour(**behaviour) for behaviour in behaviours))
        async with trio.open_nursery() as nursery:
            for comer in crowd:
                await trio.sleep(comer.after)
                nursery.start_soon(met.come, comer)
        await trio.testing.wait_all_tasks_blocked()
        assert len(met.ends) == len(crowd)
        assert met.service.most_at_once <= 1
        assert met.service.open_exchanges == 0
        assert met.client.snapshot().leased == 0
        met.service.unplan()
        await trio.sleep(60)
        await met.come(Comer(0, None))
        assert met.ends[-1] == "served"
        await met.client.aclose()
        servers.cancel_scope.cancel()
