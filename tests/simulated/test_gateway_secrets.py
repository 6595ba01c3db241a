"""No secret and no prompt leaves by a side door: log, metrics, errors, whatever goes wrong (I12).

Every secret and every piece of content carries a mark that is looked for in all that was written.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio

from router.config import Config, HeaderValue, ProviderConfig, Secret
from tests.simulated.scripted_stream import END, FINISH, framed, saying, word
from tests.simulated.world import (
    Client,
    ClientAnswer,
    World,
    chat_fields,
    in_virtual_time,
    open_world,
)

CHAT = "/v1/chat/completions"
PROMPT = "markedprompt7731"
UPSTREAM_KEY = "sk-proj-markedkey7732markedkey7732"
HEADER = "markedheader7733"
CLIENT_HEADER = "markedclient7734"

CONFIG = Config(
    providers={
        "openai": ProviderConfig(
            base_url="http://simulator/v1",
            discover=False,
            key=Secret(UPSTREAM_KEY),
            headers={"x-secret": HeaderValue(HEADER)},
        )
    }
)


class Tellings:
    """The answers of one world, and what must not be in them or in anything else written."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers: list[ClientAnswer] = []

    async def chat(self, **fields: Any) -> ClientAnswer:
        content = [{"role": "user", "content": PROMPT}]
        body = msgspec.json.encode(chat_fields(messages=content, user=PROMPT, **fields))
        return await self.send(body)

    async def send(self, body: bytes) -> ClientAnswer:
        headers = {
            "authorization": f"Bearer {self.world.secret}",
            "x-custom": CLIENT_HEADER,
            "user-agent": CLIENT_HEADER,
        }
        answer = await self.world.run(Client(body), CHAT, headers=headers)
        self.answers.append(answer)
        return answer

    async def check(self) -> None:
        metrics = (await self.world.get("/metrics")).body.decode()
        log = self.world.log.getvalue().decode()
        secrets = (self.world.secret, UPSTREAM_KEY, HEADER)
        for written in (metrics, log):
            for mark in (PROMPT, CLIENT_HEADER, *secrets):
                assert mark not in written
        for answer in self.answers:
            told = answer.body.decode() + repr(answer.headers)
            for secret in (*secrets, CLIENT_HEADER):
                assert secret not in told
        assert len(self.world.log_lines()) == len(self.answers)


@asynccontextmanager
async def telling() -> AsyncIterator[Tellings]:
    """A world whose provider has a key; at the end nothing marked may have leaked."""
    async with open_world(config=CONFIG) as world:
        tellings = Tellings(world)
        yield tellings
        await tellings.check()
        await world.leak_check()


def test_i12_the_marks_would_be_found_where_they_belong() -> None:
    """The upstream gets key and prompt, the client its answer; else the tests below prove nothing."""

    async def scenario() -> None:
        async with telling() as tellings:
            answer = await tellings.chat()
            (request,) = tellings.world.simulator.requests
            assert PROMPT.encode() in request.body
            assert request.header(b"authorization") == b"Bearer " + UPSTREAM_KEY.encode()
            assert request.header(b"x-secret") == HEADER.encode()
            assert PROMPT.encode() in answer.body

    in_virtual_time(scenario)


def test_i12_the_clients_key_and_headers_are_not_sent_on() -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            await tellings.chat()
            (request,) = tellings.world.simulator.requests
            sent = repr(request.headers)
            assert tellings.world.secret not in sent
            assert CLIENT_HEADER not in sent

    in_virtual_time(scenario)


BYGONE_SECONDS = 3600.0  # what a fault was held against is forgiven by then
ECHO = f"{PROMPT} for key {UPSTREAM_KEY} of header {HEADER}"
REFUSALS: list[dict[str, Any]] = [
    {"status": status, "error": {"message": f"No: {PROMPT}", "code": "x"}}
    for status in (400, 404, 422, 429, 500, 503)
]
FAULTS: list[dict[str, Any]] = [
    *REFUSALS,
    *[{"status": status, "error": {"message": ECHO}} for status in (401, 402, 403)],
    {"status": 502, "error": f"<html>{PROMPT}</html>"},
    {"reset_before_head": True},
    {"silence": True},
    {"cut_after": 4},
    {"stall_after": 4},
    {"malformed_at": 2},
    {"error_event_after": 0, "error": {"message": PROMPT}},
    {"error_event_after": 4, "error": {"message": PROMPT}},
    {},
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_i12_neither_success_nor_any_fault_tells_a_secret_or_a_prompt(stream: bool) -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            for fault in FAULTS:
                await tellings.chat(stream=stream, simulate=fault)
                await trio.sleep(BYGONE_SECONDS)
            assert {a.status for a in tellings.answers} >= {200, 400, 404, 422, 503}
            assert len(tellings.world.simulator.requests) >= len(FAULTS)  # each struck

    in_virtual_time(scenario)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_i12_a_provider_that_repeats_the_operators_key_does_not_tell_it_to_the_client(
    status: int, stream: bool
) -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            said = {"message": f"Limit reached for {UPSTREAM_KEY} today.", "code": "x"}
            answer = await tellings.chat(stream=stream, simulate={"status": status, "error": said})
            assert answer.status in {status, 503}
            for after in (0, 4):
                orders = {"error_event_after": after, "error": said}
                await tellings.chat(stream=stream, simulate=orders)

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "body",
    [
        PROMPT.encode(),
        b'{"model": "openai/gpt-4o-mini", "messages": "' + PROMPT.encode() + b'"}',
        b'{"messages": [{"content": "' + PROMPT.encode() + b'"}]',
        b'{"model": "gpt", "' + PROMPT.encode() + b'": 1, "messages": []}',
    ],
)
def test_i12_a_body_that_cannot_be_read_is_not_quoted(body: bytes) -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            answer = await tellings.send(body)
            assert answer.status == 400
            assert PROMPT not in answer.body.decode()

    in_virtual_time(scenario)


def test_i12_a_secret_used_as_a_models_name_is_not_logged_whole() -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            world = tellings.world
            fields = chat_fields(model=world.secret)
            await world.post(CHAT, fields)
            (line,) = world.log_lines()
            assert world.secret not in repr(line)
            tellings.answers.append(ClientAnswer())

    in_virtual_time(scenario)


# Bugs


class Oops(RuntimeError):
    """A bug whose words quote what they choked on."""


async def choke() -> None:
    await trio.lowlevel.checkpoint()
    raise Oops(f"cannot handle {ECHO}")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_bug_before_the_answer_is_a_500_with_the_request_id(stream: bool) -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            world = tellings.world
            world.dialling = choke
            answer = await tellings.chat(stream=stream)
            assert answer.status == 500
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("server_error", "internal_error")
            assert answer.headers["x-request-id"] in error["message"]
            assert PROMPT not in error["message"]
            (line,) = world.log_lines()
            assert line["request_id"] == answer.headers["x-request-id"]
            assert (line["outcome"], line["status"]) == ("bug", 500)
            assert line["level"] == "error"
            assert line["exception"][0] == "Oops"
            assert any("choke" in frame for frame in line["exception"])
            world.dialling = trio.lowlevel.checkpoint
            assert (await tellings.chat(stream=stream)).status == 200

    in_virtual_time(scenario)


def test_a_bug_in_the_middle_of_a_stream_breaks_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Oops(ECHO)

    async def scenario() -> None:
        async with telling() as tellings:
            world = tellings.world
            world.serve_upstream = saying((0, word("a")), (2, word("b")), (2, FINISH + END))

            async def break_it() -> None:
                await trio.sleep(1)
                monkeypatch.setattr("adapters.openai.stream.ChunkDecoder.receive_data", fail)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(break_it)
                answer = await tellings.chat(stream=True)
            assert answer.status == 200
            assert answer.text() == "a"
            assert not answer.finished
            assert b"[DONE]" not in answer.body
            (line,) = world.log_lines()
            assert line["outcome"] == "bug"
            assert line["exception"][0] == "Oops"

    in_virtual_time(scenario)


def test_a_bug_of_a_control_route_is_a_500_with_the_request_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            world = tellings.world

            def fail() -> None:
                raise Oops(f"{ECHO} {world.secret}")

            monkeypatch.setattr(world.gateway.catalog, "listing", fail)
            answer = await world.get("/v1/models")
            assert answer.status == 500
            assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
            lines = [msgspec.json.decode(line) for line in world.log.getvalue().splitlines()]
            assert [line["request_id"] for line in lines] == [answer.headers["x-request-id"]]
            assert lines[0]["level"] == "error"

    in_virtual_time(scenario)


def test_an_event_from_a_provider_cannot_forge_log_lines() -> None:
    async def scenario() -> None:
        async with telling() as tellings:
            forged = framed(b'data: {"error": {"message": "x\\n{\\"event\\": \\"forged\\"}"}}\n\n')
            tellings.world.serve_upstream = saying((0, word("a") + forged + END))
            await tellings.chat(stream=True)
            assert len(tellings.world.log.getvalue().splitlines()) == 1

    in_virtual_time(scenario)
