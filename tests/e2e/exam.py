"""The hall of the failover exam: one gateway process, and a room for every examination.

A room is a primary and a fallback provider that no other room has, so what the gateway learns of a provider
in one test (ejected, parked, dead) says nothing in another. All primaries share a port, and so do all
fallbacks: the first part of the path tells them apart.

The times of the exam are scaled down where the configuration allows it; where a provider names a time, or
the gateway's own figures are fixed, they are real.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai

from router.simulator import Behaviour, Profile, SeenRequest, Simulator, expected_text
from router.simulator.performance import Performance
from tests.e2e.gateway import UPSTREAM_KEY, Gateway, environ_of, refusing_port
from tests.e2e.process import GatewayProcess, wait_until
from tests.e2e.provider import serving
from tests.e2e.sdk import Failure, PythonSdk, failure_of

TOKENS = 60
MESSAGES: Any = [{"role": "user", "content": "Tell me about the sea."}]
ROOMS = 80
# The seed knows of these that they continue an answer which has begun.
CONTINUING = {
    "anthropic": "claude-haiku-4-5",
    "deepseek": "deepseek-coder",
    "mistral": "codestral-latest",
    "bedrock": "anthropic.claude-3-5-haiku-20241022-v1:0",
}
SLOW_FIRST_TOKEN_SECONDS = 1.0
FIRST_BYTE_SECONDS = 0.5
IDLE_SECONDS = 1.0


class ExamProvider(Simulator):
    """A simulated provider that notes when it is asked, and may behave the same way `always`.

    `says`, when set, is every answer, word for word.
    """

    def __init__(self) -> None:
        super().__init__(Profile(tokens=TOKENS), required_keys=[UPSTREAM_KEY])
        self.arrivals: list[float] = []
        self.always: Behaviour | None = None
        self.says: Performance | None = None

    def answer(self, request: SeenRequest) -> Performance:
        self.arrivals.append(time.monotonic())
        if self.says is not None:
            return self.says
        if self.always is not None:
            self.plan(self.always)
        return super().answer(request)


class Street(Simulator):
    """Many providers at one address."""

    def __init__(self) -> None:
        super().__init__(keep_requests=0)
        self.houses: dict[bytes, ExamProvider] = {}

    def answer(self, request: SeenRequest) -> Performance:
        return self.houses[request.target.split(b"/")[1]].answer(request)


class Room(NamedTuple):
    """One primary, one fallback; `upstream` is what both call their model."""

    number: int
    primary: ExamProvider
    fallback: ExamProvider
    fallback_name: str
    upstream: str = "m"

    @property
    def name(self) -> str:
        return f"room-{self.number}"

    @property
    def primary_name(self) -> str:
        return f"primary-{self.number}"

    @property
    def primary_model(self) -> str:
        """The id of the primary's model: what an answer of its names."""
        return f"{self.primary_name}/{self.upstream}"

    @property
    def fallback_model(self) -> str:
        return f"{self.fallback_name}/{self.upstream}"

    @property
    def text(self) -> str:
        """The whole answer, which is the same at both."""
        return expected_text({"model": self.upstream, "messages": MESSAGES}, tokens=TOKENS)

    @property
    def asked(self) -> tuple[int, int]:
        """How many requests have come to the primary and to the fallback."""
        return len(self.primary.arrivals), len(self.fallback.arrivals)


class Served(NamedTuple):
    """What a client got, and in how many seconds: an answer, or a failure after some text."""

    text: str
    model: str | None
    finish_reason: str | None
    usage: dict[str, Any] | None
    headers: dict[str, str]
    seconds: float
    failure: Failure | None

    @property
    def provider(self) -> str | None:
        return self.headers.get("x-syze-provider")

    @property
    def attempts(self) -> int:
        return int(self.headers["x-syze-attempts"])


class Hall:
    """The running gateway, a client of it, and the rooms that nobody has used yet."""

    def __init__(
        self, gateway: Gateway, client: openai.OpenAI, streets: tuple[Street, Street]
    ) -> None:
        self.gateway = gateway
        self.primaries, self.fallbacks = streets
        self.client = client
        self.rooms: Iterator[Room] = iter(())
        self.rescue_rooms: Iterator[Room] = iter(())

    def ask(self, model: str, *, stream: bool = False) -> Served:
        """Make one chat call by the SDK, without any retry of its own."""
        begun = time.monotonic()
        found = _Found()
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        try:
            raw = self.client.chat.completions.with_raw_response.create(
                model=model, messages=MESSAGES, stream=stream, **more
            )
            found.headers = dict(raw.headers)
            found.read(raw.parse(), stream=stream)
        except openai.APIError as error:
            if isinstance(error, openai.APIStatusError):
                found.headers = dict(error.response.headers)
            found.failure = failure_of(error)
        return found.after(time.monotonic() - begun)

    def leak_check(self) -> None:
        """Nothing is left anywhere of the requests so far."""
        self.gateway.leak_check()
        wait_until("the fallbacks are at rest", lambda: self.fallbacks.open_exchanges == 0)


class _Found:
    """An answer as it is being put together."""

    def __init__(self) -> None:
        self.text = ""
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.headers: dict[str, str] = {}
        self.failure: Failure | None = None

    def read(self, answer: Any, *, stream: bool) -> None:
        if not stream:
            self._take(answer.model_dump(mode="json"), part="message")
            return
        with answer:
            for chunk in answer:
                self._take(chunk.model_dump(mode="json"), part="delta")

    def _take(self, value: dict[str, Any], *, part: str) -> None:
        self.model = value["model"]
        self.usage = value.get("usage") or self.usage
        for choice in value["choices"]:
            self.text += choice[part].get("content") or ""
            self.finish_reason = choice["finish_reason"] or self.finish_reason

    def after(self, seconds: float) -> Served:
        return Served(
            text=self.text,
            model=self.model,
            finish_reason=self.finish_reason,
            usage=self.usage,
            headers=self.headers,
            seconds=seconds,
            failure=self.failure,
        )


@contextmanager
def exam_hall(folder: Path) -> Iterator[Hall]:
    """Open the hall: a gateway over all rooms, ended with the block."""
    primaries, fallbacks = Street(), Street()
    rooms = [_room(number, f"fallback-{number}") for number in range(ROOMS)]
    rescue_rooms = [
        _room(ROOMS + number, name)._replace(upstream=model)
        for number, (name, model) in enumerate(CONTINUING.items())
    ]
    for room in (*rooms, *rescue_rooms):
        primaries.houses[room.name.encode()] = room.primary
        fallbacks.houses[room.name.encode()] = room.fallback
    config = folder / "syze.toml"
    with serving(primaries) as first, serving(fallbacks) as second, refusing_port() as refusing:
        written = [_room_toml(room, first, second) for room in (*rooms, *rescue_rooms)]
        config.write_text(_hall_toml(refusing) + "".join(written))
        arguments = ["serve", "--config", str(config)]
        with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
            gateway = Gateway(process, primaries, config=config)
            with PythonSdk(gateway.base_url, gateway.key).client() as client:
                hall = Hall(gateway, client, (primaries, fallbacks))
                hall.rooms, hall.rescue_rooms = iter(rooms), iter(rescue_rooms)
                yield hall


def _room(number: int, fallback_name: str) -> Room:
    return Room(number, ExamProvider(), ExamProvider(), fallback_name)


def _hall_toml(refusing: int) -> str:
    # One process sits all the exams within a minute, so its budget is that of a busier one.
    return f"""
[server]
bind = ["127.0.0.1:0"]

[store]
path = "keys.db"

[log]
format = "json"

[limits]
folder = "counts"

[timeouts]
idle = {IDLE_SECONDS}
total = 30

[race]
slow_first_token = {SLOW_FIRST_TOKEN_SECONDS}

[providers.refusing]
base_url = "http://127.0.0.1:{refusing}/v1"
models = ["m"]
"""


def _room_toml(room: Room, first: int, second: int) -> str:
    target = f'target = "{room.primary_model}"'
    fallbacks = f'fallbacks = ["{room.fallback_model}"]'
    return f"""
[providers.{room.primary_name}]
base_url = "http://127.0.0.1:{first}/{room.name}/v1"
key = "env:UPSTREAM_KEY"
models = ["{room.upstream}"]
discover = false

[providers.{room.fallback_name}]
dialect = "openai"
base_url = "http://127.0.0.1:{second}/{room.name}/v1"
key = "env:UPSTREAM_KEY"
models = ["{room.upstream}"]
discover = false
stream_usage = true

[models."{room.name}"]
{target}
{fallbacks}

[models."{room.name}-impatient"]
{target}
{fallbacks}
timeouts = {{ first_byte = {FIRST_BYTE_SECONDS} }}

[models."{room.name}-larger"]
{target}
larger_context = ["{room.fallback_model}"]

[models."{room.name}-refusing"]
target = "refusing/m"
{fallbacks}
"""
