"""Streams through the whole gateway with the relay pump: whatever strikes finds them asleep there.

Upstream connections are real sockets here, plain or under TLS, and the client's server sends without waiting.
Every scenario of this folder runs that way with `SYZE_RELAY=pump`; these are the ones about the pump itself.
That the bytes are the same whoever carries is the affair of `tests/properties/test_relay.py`.
"""

import ssl
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import trio
import trio.testing

from adapters.openai.stream import ChunkDecoder
from router.config import Config, ProviderConfig, ServerConfig, TimeoutConfig
from router.exchange.source import COMPLETE_SECONDS
from router.upstream.tls import TlsStream
from tests.simulated.scripted_stream import DONE, END, FINISH, framed, saying, word
from tests.simulated.test_gateway_streams import CONTENTS, FORMS, Book
from tests.simulated.world import (
    Client,
    World,
    chat_fields,
    in_virtual_time,
    open_world,
)

CHAT = "/v1/chat/completions"
COMMENT = b": keep-alive\n\n"
TLS = Path(__file__).parent.parent / "fixtures" / "tls"

Carrier = Literal["task", "pump", "pump over TLS"]


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    return context


SERVER = _server_context()
CLIENT = ssl.create_default_context(cafile=TLS / "ca.pem")


class LateTls(TlsStream):
    """Shakes hands with its first write, since the world's connections are made without waiting."""

    _is_ready = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_ready:
            await self.do_handshake()
            self._is_ready = True
        await super().send_all(data)


def tls_pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
    ours, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair())
    served = trio.SSLStream(theirs, SERVER, server_side=True, https_compatible=True)
    return LateTls(ours, CLIENT, server_hostname="localhost"), served


def carried_by(world: World, carrier: Carrier) -> None:
    if carrier == "task":
        world.let_tasks_carry()
    else:
        world.let_the_pump_carry()
    if carrier == "pump over TLS":
        world.pair = tls_pair


def limits(**given_limits: float) -> Config:
    timeouts = {"connect": 5.0, "first_byte": 300.0, "idle": 300.0, "total": 3000.0}
    provider = ProviderConfig(
        base_url="http://simulator/v1",
        discover=False,
        timeouts=TimeoutConfig(**{**timeouts, **given_limits}),
    )
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0), providers={"openai": provider}
    )


def client_of(**fields: Any) -> Client:
    return Client(msgspec.json.encode(chat_fields(stream=True, **fields)))


async def until_carried(world: World, streams: int = 1) -> None:
    """Wait until the pump has so many streams and nothing else is going on."""
    await trio.testing.wait_all_tasks_blocked()
    assert world.gateway.pump is not None
    assert world.gateway.pump.carrying == streams


FEW_FORMS = ("plain", "gzip", "writes of 64 bytes", "three events a write", "no done")


@pytest.mark.parametrize("form", FEW_FORMS)
def test_a_stream_is_byte_exact_in_whatever_form_it_comes(form: str) -> None:
    async def scenario() -> None:
        book = Book()
        async with open_world() as world:
            carried_by(world, "pump")
            for name, content in CONTENTS.items():
                fields = {"simulate": {}, **chat_fields(stream=True, **content)}
                orders = {"gap": 0.01, **fields["simulate"], **FORMS[form]}
                client = Client(msgspec.json.encode({**fields, "simulate": orders}))
                answer = await world.run(client, CHAT)
                assert answer.body == await book.stream(fields), name
                assert answer.finished, name
                if form == "gzip":
                    assert client.sent_now == 0, name  # unfolding is not for the pump
            await world.leak_check()

    in_virtual_time(scenario)


CARRIERS = pytest.mark.parametrize("carrier", ["pump", "pump over TLS"])


@CARRIERS
def test_the_pump_does_carry_and_wakes_the_task_only_for_the_end(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, carrier)
            client = client_of(simulate={"tokens": 200, "gap": 0.01})
            answer = await world.run(client, CHAT)
            assert answer.events()[-1] == b"[DONE]"
            assert client.sent_now >= 198
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_comments_come_in_silences_exactly_and_an_events_time_counts(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits(idle=45)) as world:
            carried_by(world, carrier)
            world.serve_upstream = saying(
                (0, word("a")), (10, word("b")), (40, word("c")), (44, word("d")), (50, DONE + END)
            )
            start = trio.current_time()
            answer = await world.run(client_of(), CHAT)
            times = [(round(at - start), piece == COMMENT) for at, piece in answer.pieces]
            assert times == [
                *[(0, False), (10, False), (25, True), (40, True), (50, False)],
                *[(65, True), (80, True), (94, False), (109, True), (124, True), (139, False)],
            ]
            error = msgspec.json.decode(answer.events()[-1])["error"]
            assert error["code"] == "upstream_stream_broken"
            assert "45 seconds" in error["message"]
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_bytes_that_make_no_event_are_no_silence_of_the_upstream(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits(idle=12)) as world:
            carried_by(world, carrier)
            pings = [(9.0, framed(b": ping\n\n"))] * 5
            world.serve_upstream = saying((0, word("a")), *pings, (9, FINISH + DONE + END))
            start = trio.current_time()
            answer = await world.run(client_of(), CHAT)
            assert answer.events()[-1] == b"[DONE]"
            comments = [round(at - start) for at, piece in answer.pieces if piece == COMMENT]
            assert comments == [15, 30, 45]
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_once_complete_a_stream_waits_for_its_goodbye_only_briefly(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, carrier)
            world.serve_upstream = saying((0, word("a")), (1, word("b")), (1, FINISH), (900, b""))
            start = trio.current_time()
            answer = await world.run(client_of(), CHAT)
            assert answer.finished
            assert answer.events()[-1] == b"[DONE]"
            assert answer.pieces[-1][0] - start == 2 + COMPLETE_SECONDS
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_a_client_that_leaves_while_the_pump_carries_frees_everything_at_once(
    carrier: Carrier,
) -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, carrier)
            client = client_of(simulate={"tokens": 1000, "gap": 1})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(10.5)
                await until_carried(world)
                client.leave()
            assert not client.answer.finished
            assert trio.current_time() % 1 == 0.5
            await world.leak_check()
            assert world.log_lines()[0]["outcome"] == "client_gone"
            assert world.simulator.aborted == 1

    in_virtual_time(scenario)


@CARRIERS
def test_the_limit_for_the_whole_call_strikes_where_the_stream_sleeps(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits(total=10)) as world:
            carried_by(world, carrier)
            client = client_of(simulate={"ttft": 0.5, "tokens": 1000, "gap": 1})
            start = trio.current_time()
            answer = await world.run(client, CHAT)
            assert trio.current_time() - start == 10
            error = msgspec.json.decode(answer.events()[-1])["error"]
            assert error["code"] == "upstream_timeout"
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_a_client_that_stops_reading_gets_its_stream_out_of_the_pump_and_the_rest_later(
    carrier: Carrier,
) -> None:
    async def scenario() -> None:
        async with open_world(config=limits(idle=50)) as world:
            carried_by(world, carrier)
            client = client_of(simulate={"ttft": 0, "tokens": 100, "gap": 1})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(5.5)
                client.reading = trio.Event()
                await trio.sleep(80)
                await until_carried(world, 0)
                taken = client.sent_now
                assert taken <= 6
                client.reading.set()
            assert client.answer.finished
            assert client.answer.events()[-1] == b"[DONE]"
            assert client.sent_now > taken
            whole = await world.chat(stream=True, simulate={"ttft": 0, "tokens": 100, "gap": 0})
            assert client.answer.text() == whole.text()
            await world.leak_check()

    in_virtual_time(scenario)


@CARRIERS
def test_an_upstream_that_is_cut_while_the_pump_carries_is_told_as_a_cut(carrier: Carrier) -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, carrier)
            client = client_of(simulate={"tokens": 20, "gap": 1, "cut_after": 7})
            answer = await world.run(client, CHAT)
            assert client.sent_now > 0
            assert msgspec.json.decode(answer.events()[-1])["error"]["code"] == (
                "upstream_stream_broken"
            )
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


def test_many_streams_are_carried_side_by_side_and_each_gets_its_own() -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, "pump")
            clients = {
                text: client_of(
                    messages=[{"role": "user", "content": text}],
                    simulate={"tokens": 20, "gap": 0.5 + place / 1000},
                )
                for place, text in enumerate(f"say {n}" for n in range(60))
            }
            async with trio.open_nursery() as nursery:
                for client in clients.values():
                    nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(3.2)
                await until_carried(world, len(clients))
            alone = {
                text: await world.chat(
                    stream=True,
                    messages=[{"role": "user", "content": text}],
                    simulate={"tokens": 20, "gap": 0},
                )
                for text in list(clients)[::25]
            }
            for text, answer in alone.items():
                assert clients[text].answer.text() == answer.text()
            assert all(client.answer.finished for client in clients.values())
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_mistake_of_ours_ends_the_stream_that_met_it_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text_frame = ChunkDecoder.text_frame

    def stumble(self: ChunkDecoder, data: bytes) -> bytes | None:
        if b"STUMBLE" in data:
            raise LookupError("a mistake of ours")
        return text_frame(self, data)

    async def scenario() -> None:
        monkeypatch.setattr(ChunkDecoder, "text_frame", stumble)
        async with open_world(config=limits()) as world:
            carried_by(world, "pump")
            served = iter(
                [
                    saying((0, word("a")), (1, word("b")), (1, word("STUMBLE")), (90, b"")),
                    saying((0, word("a")), (1, word("b")), (9, FINISH + DONE + END)),
                ]
            )
            world.serve_upstream = lambda stream: next(served)(stream)  # noqa: PLW0108 - one for each
            one, other = client_of(), client_of()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, one, CHAT)
                await trio.sleep(0.1)
                nursery.start_soon(world.run, other, CHAT)
            assert not one.answer.finished
            assert other.answer.finished
            outcomes = sorted(line["outcome"] for line in world.log_lines())
            assert outcomes == ["bug", "ok"]
            await world.leak_check()

    in_virtual_time(scenario)


def test_when_the_pump_ends_its_streams_are_carried_on_by_their_tasks() -> None:
    async def scenario() -> None:
        async with open_world(config=limits()) as world:
            carried_by(world, "pump")
            pump = world.gateway.pump
            assert pump is not None
            client = client_of(simulate={"tokens": 50, "gap": 1})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(9.5)
                await until_carried(world)
                world.stop_pump()
                await trio.testing.wait_all_tasks_blocked()
                assert not pump.is_running
                taken = client.sent_now
            assert client.sent_now == taken > 5
            assert client.answer.events()[-1] == b"[DONE]"
            await world.leak_check()

    in_virtual_time(scenario)
