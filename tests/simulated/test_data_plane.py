"""Requests of a connection of the gateway's own: which are served, and what is understood once for many."""

from typing import cast

import msgspec
import pytest

from router.accounts.snapshot import Snapshot
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn
from tests.simulated.world import (
    Client,
    ClientAnswer,
    ClientTurn,
    World,
    chat_fields,
    in_virtual_time,
    open_world,
)

ADDRESS = ("203.0.113.9", 50000)


def head_of(world: World, target: bytes, *, method: str = "POST", **headers: bytes) -> RequestHead:
    told = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    key = (b"authorization", b"Bearer " + world.secret.encode())
    return RequestHead(method, target, "1.1", [key, *told])


async def ask(world: World, head: RequestHead) -> Client | None:
    """The client that was served, `None` if its request is for others."""
    client = Client(msgspec.json.encode(chat_fields()))
    turn = cast("Turn", ClientTurn(client))
    serving = world.gateway.front.data_plane.serve_turn(head, turn, client=ADDRESS)
    if serving is None:
        return None
    await serving
    return client


async def answer_to(world: World, head: RequestHead) -> ClientAnswer:
    client = await ask(world, head)
    assert client is not None
    return client.answer


@pytest.mark.parametrize(
    ("method", "target", "served"),
    [
        ("POST", b"/v1/chat/completions", True),
        ("POST", b"/chat/completions/", True),
        ("POST", b"/v1/chat%2Fcompletions?a=b", True),
        ("GET", b"/v1/chat/completions", False),
        ("POST", b"/v1/models", False),
    ],
)
def test_what_is_no_door_of_the_data_plane_is_left_to_others(
    method: str, target: bytes, served: bool
) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            client = await ask(world, head_of(world, target, method=method))
            assert (client is not None) == served
            if client is not None:
                assert client.answer.status == 200
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_key_that_is_revoked_between_two_requests_with_the_same_head_serves_the_first_alone() -> (
    None
):
    async def scenario() -> None:
        async with open_world() as world:
            head = head_of(world, b"/v1/chat/completions")
            statuses = []
            for keys in (True, True, False):
                if not keys:
                    world.gateway.ring.replace(Snapshot.embedded([]))
                statuses.append((await answer_to(world, head)).status)
            assert statuses == [200, 200, 401]
            await world.leak_check()

    in_virtual_time(scenario)


def test_each_answer_to_the_same_head_has_an_id_of_its_own_and_the_same_other_headers() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            head = head_of(world, b"/v1/messages", origin=b"https://a.example")
            first, second = [(await answer_to(world, head)).headers for _ in range(2)]
            assert first["x-request-id"] == first["request-id"] != second["request-id"]
            assert second["x-request-id"] == second["request-id"]
            for name in ("access-control-allow-origin", "access-control-expose-headers"):
                assert first[name] == second[name]
            await world.leak_check()

    in_virtual_time(scenario)


def test_what_one_head_passes_on_is_not_passed_on_with_another() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            asking = head_of(world, b"/v1/chat/completions", x_syze_hedge=b"never heard of")
            plain = head_of(world, b"/v1/chat/completions")
            for head, status in ((asking, 400), (plain, 200), (asking, 400)):
                assert (await answer_to(world, head)).status == status
            await world.leak_check()

    in_virtual_time(scenario)
