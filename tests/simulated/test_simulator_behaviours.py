"""Each behaviour of the simulated provider, seen on the wire."""

import gzip
import zlib
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from router.simulator import Behaviour, Latency, Profile, Simulator, expected_text
from tests.simulated.simulator_wire import Answer, chat, connected, still

PACED = Profile(ttft=Latency.fixed(0.5), gap=Latency.fixed(0.25), tokens=4)


async def streamed(behaviour: Behaviour, *, profile: Profile = PACED, **fields: Any) -> Answer:
    """One stream under a behaviour, its times counted from its start."""
    simulator = Simulator(profile, wall_clock=still)
    simulator.plan(behaviour)
    async with connected(simulator) as client:
        start = trio.current_time()
        answer = await client.ask(chat(stream=True, **fields))
    chunks = [chunk._replace(at=chunk.at - start) for chunk in answer.chunks]
    return answer._replace(
        chunks=chunks, head_at=answer.head_at - start, end_at=answer.end_at - start
    )


async def whole(behaviour: Behaviour, **fields: Any) -> Answer:
    simulator = Simulator(wall_clock=still)
    simulator.plan(behaviour)
    async with connected(simulator) as client:
        return await client.ask(chat(**fields))


def tokens_of(answer: Answer) -> int:
    return sum(
        1
        for event in answer.events()
        if event != "[DONE]"
        and event.get("choices")
        and event["choices"][0]["delta"].get("content")
    )


async def test_pace_and_length(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(ttft=1.0, gap=0.5, tokens=2))
    assert [chunk.at for chunk in answer.chunks] == [1.0, 1.0, 1.5, 2.0, 2.0]
    assert tokens_of(answer) == 2


async def test_no_tokens_at_all(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(tokens=0))
    assert tokens_of(answer) == 0
    assert answer.events()[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "authentication_error", "invalid_api_key"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", None),
        (503, "server_error", "server_is_overloaded"),
        (529, "overloaded_error", None),
    ],
)
async def test_status(status: int, kind: str, code: str | None) -> None:
    answer = await whole(Behaviour(status=status))
    assert answer.status == status
    assert (answer.error["type"], answer.error["code"], answer.error["param"]) == (kind, code, None)
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(("seconds", "said"), [(15, "15"), (0.5, "0.5"), (120.0, "120"), (0, "0")])
async def test_retry_after(seconds: float, said: str) -> None:
    answer = await whole(Behaviour(status=429, retry_after=seconds))
    assert answer.headers["retry-after"] == said


async def test_an_error_of_ones_own() -> None:
    error = {"message": "Too long.", "code": "context_length_exceeded", "odd": [1]}
    assert (await whole(Behaviour(status=400, error=error))).json() == {"error": error}


async def test_an_error_page_that_is_not_json() -> None:
    answer = await whole(Behaviour(status=502, error="<h1>Bad Gateway</h1>"))
    assert (answer.status, answer.body) == (502, b"<h1>Bad Gateway</h1>")
    assert answer.headers["content-type"].startswith("text/html")


async def test_an_error_strikes_whatever_the_request() -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(status=503))
    async with connected(simulator) as client:
        assert (await client.ask(b"no json", path="/nowhere")).status == 503


@pytest.mark.parametrize("after", [0, 2, 4])
async def test_an_error_event(after: int, autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(error_event_after=after))
    *events, last = answer.events()
    assert last["error"]["type"] == "server_error"
    assert tokens_of(answer._replace(chunks=answer.chunks[:-1])) == after
    assert "[DONE]" not in events
    assert answer.whole
    assert answer.chunks[-1].at == 0.5 + after * 0.25


async def test_an_error_inside_a_whole_answer_with_status_200() -> None:
    answer = await whole(Behaviour(error_event_after=0, error={"message": "Boom"}))
    assert (answer.status, answer.json()) == (200, {"error": {"message": "Boom"}})


@pytest.mark.parametrize("after", [0, 2, 4])
async def test_a_cut(after: int, autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(cut_after=after))
    assert tokens_of(answer) == after
    assert not answer.whole
    assert answer.end_at == 0.5 + after * 0.25


async def test_a_cut_beyond_the_end_does_not_happen(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(cut_after=5))
    assert answer.whole
    assert answer.events()[-1] == "[DONE]"


async def test_a_cut_of_a_whole_answer_leaves_half_a_body() -> None:
    answer = await whole(Behaviour(cut_after=0))
    assert not answer.whole
    assert 0 < len(answer.body) < int(answer.headers["content-length"])


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_counts_as_broken(stream: bool) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(cut_after=1))
    async with connected(simulator) as client:
        await client.ask(chat(stream=stream))
        assert (simulator.broken, simulator.completed, simulator.aborted) == (1, 0, 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stall_lasts_until_the_client_leaves(
    stream: bool, autojump_clock: MockClock
) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(stall_after=1))
    async with connected(simulator) as client:
        await client.send(chat(stream=stream))
        with trio.move_on_after(10_000) as waiting:
            await client.answer()
        assert waiting.cancelled_caught
        assert simulator.open_exchanges == 1
    assert (simulator.open_exchanges, simulator.aborted) == (0, 1)


async def test_a_stall_comes_after_its_tokens(autojump_clock: MockClock) -> None:
    simulator = Simulator(PACED, wall_clock=still)
    simulator.plan(Behaviour(stall_after=2))
    received = b""
    async with connected(simulator) as client:
        await client.send(chat(stream=True))
        with trio.move_on_after(100):
            while True:
                received += await client.stream.receive_some()
    assert received.count(b"data: ") == 3
    assert b"[DONE]" not in received


async def test_silence(autojump_clock: MockClock) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(silence=True))
    async with connected(simulator) as client:
        await client.send(chat())
        with trio.move_on_after(10_000) as waiting:
            await client.stream.receive_some()
        assert waiting.cancelled_caught
    assert simulator.aborted == 1


async def test_a_reset_before_the_head(autojump_clock: MockClock) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(reset_before_head=True, delay_head=3.0))
    async with connected(simulator) as client:
        start = trio.current_time()
        with pytest.raises(EOFError):
            await client.ask(chat())
        assert trio.current_time() - start == 3.0
    assert simulator.broken == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_hanging_up_after_an_answer_that_did_not_announce_it(stream: bool) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(hang_up=True))
    async with connected(simulator) as client:
        answer = await client.ask(chat(stream=stream))
        assert answer.whole
        assert "connection" not in answer.headers
        assert await client.stream.receive_some() == b""
    assert simulator.completed == 1


async def test_a_malformed_line_stands_before_its_token(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(malformed_at=2))
    lines = [chunk.data for chunk in answer.chunks]
    # Role, two tokens, then the broken line; nothing is missing around it.
    broken = lines.pop(3)
    assert broken.startswith(b'data: {"id"')
    assert broken.endswith(b'"bro\n\n')
    assert tokens_of(answer._replace(chunks=[c for c in answer.chunks if c.data != broken])) == 4


async def test_a_malformed_whole_answer_is_complete_and_unreadable() -> None:
    answer = await whole(Behaviour(malformed_at=0))
    assert answer.whole
    with pytest.raises(ValueError, match="truncated"):
        answer.json()


async def test_without_done(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(omit_done=True))
    assert answer.whole
    assert answer.events()[-1]["choices"][0]["finish_reason"] == "stop"


async def test_without_usage(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(omit_usage=True), stream_options={"include_usage": True})
    assert b"usage" not in answer.body
    assert "usage" not in (await whole(Behaviour(omit_usage=True))).json()


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_on_the_last_chunk(asked: bool, autojump_clock: MockClock) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    answer = await streamed(Behaviour(usage_on_last_chunk=True), n=2, **options)
    *events, _ = answer.events()
    with_usage = [event for event in events if event.get("usage")]
    assert with_usage == [events[-1]]
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["usage"]["completion_tokens"] == 8


async def test_no_role(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(no_role=True))
    assert answer.events()[0]["choices"][0]["delta"]["content"] == ""
    assert b'"role"' not in answer.body


async def test_an_unknown_event_comes_first(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(unknown_event=True))
    first = answer.events()[0]
    assert first["object"] == "simulator.notice"
    assert "choices" not in first


async def test_extra_fields_are_in_every_chunk_and_in_the_answer(
    autojump_clock: MockClock,
) -> None:
    extra = {"service_tier": "odd", "created": None, "nested": {"a": [1]}}
    *events, _ = (await streamed(Behaviour(extra=extra))).events()
    answer = (await whole(Behaviour(extra=extra))).json()
    for said in (*events, answer):
        assert {name: said[name] for name in extra} == extra
    assert answer["choices"][0]["message"]["content"] == expected_text(chat())


@pytest.mark.parametrize(
    "order",
    [{"extra": {"choices": []}}, {"extra": {"a": msgspec.json.decode(b"[" * 200 + b"]" * 200)}}],
    ids=["choices", "deep"],
)
async def test_extra_fields_that_would_break_the_answer_are_refused(order: dict[str, Any]) -> None:
    answer = await whole(Behaviour(), simulate=order)
    assert (answer.status, answer.error["param"]) == (400, "simulate")


async def test_embeddings_as_floats() -> None:
    fields = {"model": "m", "input": "Hi", "encoding_format": "base64", "dimensions": 4}
    simulator = Simulator(wall_clock=still)
    async with connected(simulator) as client:
        asked = await client.ask(fields, path="/v1/embeddings")
        simulator.plan(Behaviour(embeddings_as_floats=True))
        ignored = await client.ask(fields, path="/v1/embeddings")
    assert isinstance(asked.json()["data"][0]["embedding"], str)
    assert [type(x) for x in ignored.json()["data"][0]["embedding"]] == [float] * 4


async def test_a_compressed_stream_can_be_read_event_by_event(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(gzip=True))
    plain = await streamed(Behaviour())
    assert answer.headers["content-encoding"] == "gzip"
    decompressor = zlib.decompressobj(wbits=31)
    pieces = [decompressor.decompress(chunk.data) for chunk in answer.chunks]
    assert pieces == [chunk.data for chunk in plain.chunks]
    assert decompressor.eof


async def test_a_compressed_whole_answer() -> None:
    answer = await whole(Behaviour(gzip=True))
    assert answer.headers["content-encoding"] == "gzip"
    body = gzip.decompress(answer.body)
    assert expected_text(chat()).encode() in body


async def test_events_in_pieces(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(body_split=7))
    plain = await streamed(Behaviour())
    assert answer.body == plain.body
    assert max(len(chunk.data) for chunk in answer.chunks) == 7
    assert answer.whole


async def test_a_whole_answer_in_pieces() -> None:
    answer = await whole(Behaviour(body_split=1))
    assert answer.json()["choices"][0]["message"]["content"] == expected_text(chat())


async def test_events_that_share_writes(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(coalesce=3))
    # Role and two tokens when the second is due, two more and the finish, then [DONE].
    assert [chunk.at for chunk in answer.chunks] == [0.75, 1.5, 1.5]
    assert [chunk.data.count(b"data: ") for chunk in answer.chunks] == [3, 3, 1]


async def test_crlf_comments_names_and_numbers(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(crlf=True))
    plain = await streamed(Behaviour())
    blocks = answer.body.split(b"\r\n\r\n")
    assert blocks.pop() == b""
    for number, (block, chunk) in enumerate(zip(blocks, plain.chunks, strict=True)):
        comment, name, numbered, data = block.split(b"\r\n")
        assert comment.startswith(b": ")
        assert name == b"event: message"
        assert numbered == b"id: %d" % number
        assert data == chunk.data.removesuffix(b"\n\n")


async def test_a_body_that_stays_open_after_done(autojump_clock: MockClock) -> None:
    answer = await streamed(Behaviour(keep_open_after_done=9.0))
    assert answer.events()[-1] == "[DONE]"
    assert answer.end_at - answer.chunks[-1].at == 9.0
    assert answer.whole


async def test_delayed_errors(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    answer = await whole(Behaviour(status=500, delay_head=4.0))
    assert answer.head_at - start == 4.0


async def test_behaviours_can_be_combined(autojump_clock: MockClock) -> None:
    behaviour = Behaviour(gzip=True, body_split=3, crlf=True, coalesce=2, unknown_event=True)
    answer = await streamed(behaviour)
    assert answer.whole
    text = gzip.decompress(answer.body)
    assert text.count(b"data: ") == 8
    assert text.endswith(b"data: [DONE]\r\n\r\n")
