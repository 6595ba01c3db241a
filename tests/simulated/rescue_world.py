"""A gateway with one model at two providers, the second of which takes a prefill; and a knife for streams.

Both call the model by the same name, so that they give the same answer: what a client should have in all is
what either of them would have said alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from router.config import (
    Config,
    ModelConfig,
    ProviderConfig,
    RaceConfig,
    ServerConfig,
    TimeoutConfig,
)
from router.simulator import Behaviour, Profile, expected_text
from tests.simulated.world import INSTANT, ClientAnswer, World, open_world

UPSTREAM_MODEL = "claude-haiku-4-5"
FIRST = f"first/{UPSTREAM_MODEL}"  # a provider that nobody knows, so nobody knows that it takes a prefill
RESCUER = f"anthropic/{UPSTREAM_MODEL}"
STORY = "story"
CHAT = "/v1/chat/completions"
OTHER = Behaviour(extra={"id": "chatcmpl-other", "created": 7})  # what the client must not see
LONG_ENOUGH = 3600.0  # for all ejections and debts to be forgotten


def rescue_config(
    *,
    fallbacks: list[str] | None = None,
    models: list[str] | None = None,
    idle: float = 20.0,
    total: float = 600.0,
    **race: Any,
) -> Config:
    limits = TimeoutConfig(connect=5, first_byte=30, idle=idle, total=total)
    names = {"first": "http://one/v1", "anthropic": "http://two/v1"}
    return Config(
        server=ServerConfig(keepalive_comment_seconds=3.0),
        providers={
            name: ProviderConfig(
                base_url=url,
                discover=False,
                models=[UPSTREAM_MODEL, *(models or ())],
                timeouts=limits,
            )
            for name, url in names.items()
        },
        models={
            STORY: ModelConfig(
                target=FIRST, fallbacks=[RESCUER] if fallbacks is None else fallbacks
            )
        },
        race=RaceConfig(hedge=False, **race),
    )


@asynccontextmanager
async def rescue_world(
    profile: Profile = INSTANT, *, config: Config | None = None
) -> AsyncIterator[World]:
    async with open_world(profile, config=config or rescue_config(), hosts=("one", "two")) as world:
        yield world


def plan(world: World, first: Behaviour, *rescuer: Behaviour) -> None:
    """Say what the first provider does with the next request, and the rescuer with those it gets."""
    world.simulators["one"].plan(first)
    world.simulators["two"].plan(*rescuer)


def story_fields(**fields: Any) -> dict[str, Any]:
    """A streamed chat request for the model that can be rescued."""
    said = [{"role": "user", "content": 'Grüße, 世界 🦜 "so"\\\n'}]
    body = {"model": STORY, "stream": True, "messages": said, **fields}
    return {name: value for name, value in body.items() if value is not None}


def whole_text(**fields: Any) -> str:
    """What either provider would answer alone."""
    return expected_text({**story_fields(**fields), "model": UPSTREAM_MODEL})


def chunks(answer: ClientAnswer) -> list[Any]:
    """The decoded events of an answer, `[DONE]` and comments left out."""
    events = [event.removeprefix(b"event: message\ndata: ") for event in answer.events()]
    return [msgspec.json.decode(event) for event in events if event != b"[DONE]"]


def said(answer: ClientAnswer) -> str:
    """The text that a client has, from all that came before an error event, if one came."""
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks(answer)
        for choice in chunk.get("choices", ())
    )


def error_code(answer: ClientAnswer) -> str | None:
    """The code of the error event that ends an answer, `None` if it has none."""
    last = chunks(answer)[-1]
    return last["error"]["code"] if "error" in last else None


class CutStream(trio.abc.Stream):
    """A stream that closes itself after so many more bytes were sent into it."""

    def __init__(self, stream: trio.abc.Stream, after_bytes: int) -> None:
        self._stream = stream
        self._left = after_bytes

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        piece = bytes(data)[: self._left]
        self._left -= len(piece)
        if piece:
            await self._stream.send_all(piece)
        if not self._left:
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except trio.ClosedResourceError:  # by the cut, in the other task
            return b""

    async def aclose(self) -> None:
        await self._stream.aclose()
