"""A gateway with a console over a database of its own; every answer is held against the OpenAPI document."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from router.accounts.database import Database, open_database
from router.config import AdminConfig, LongSecret, PaymentConfig
from router.console.console import Console
from router.console.openapi import openapi_document
from router.console.operations import EVERY
from router.console.stores import Stores
from router.ledger.payment import SIGNATURE_HEADER, sign
from tests.simulated.world import Client, ClientAnswer, World, open_world

ADMIN_KEY = "an-admin-key-that-is-long"
PAYMENT_SECRET = "a-secret-of-the-payments"
NOW = 1_800_000_000.0
DOCUMENT: Mapping[str, Any] = msgspec.json.decode(openapi_document(EVERY))


class ConsoleWorld:
    """A running gateway, and requests to its console. `troubles` are what the console reported."""

    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.stores = Stores(database, wall_clock=lambda: NOW)
        self.troubles: list[str] = []

    def install(self, config: AdminConfig) -> None:
        console = Console(
            config,
            self.stores,
            ring=self.world.gateway.ring,
            wall_clock=lambda: NOW,
            report=lambda what, _error: self.troubles.append(what),
        )
        console.install(self.world.gateway.front)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        secret: str | None = ADMIN_KEY,
        key: str | None = None,
        content: bytes | None = None,
    ) -> ClientAnswer:
        """Make one request, as an operator unless another `secret` is given; `key` is for idempotency."""
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        if key is not None:
            headers["idempotency-key"] = key
        if content is None:
            content = b"" if body is None else msgspec.json.encode(body)
        answer = await self.world.run(Client(content), path, method=method, headers=headers)
        check_answer(method, path, answer)
        return answer

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Make a request that must succeed; return its answer."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status in {200, 201}, answer.body
        return answer.json()

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> list[Any]:
        """Make a request that must fail; return status, code and message."""
        answer = await self.ask(method, path, body, **more)
        error = answer.json()["error"]
        return [answer.status, error["code"], error["message"]]

    async def notice(
        self, notice: Any, *, name: str = "bank", secret: str = PAYMENT_SECRET, at: float = NOW
    ) -> ClientAnswer:
        """Tell of a payment, as its provider does."""
        body = msgspec.json.encode(notice)
        signature = sign(secret.encode(), str(int(at)), body)
        headers = {SIGNATURE_HEADER: f"t={int(at)},v1={signature}"}
        return await self.world.run(Client(body), f"/webhooks/payments/{name}", headers=headers)

    def know_keys(self) -> None:
        """Let the gateway hear of what has changed, as its watch does."""
        self.world.gateway.ring.replace(self.stores.keys.load()[1])


def admin_config(*, key: str | None = ADMIN_KEY) -> AdminConfig:
    return AdminConfig(
        key=None if key is None else LongSecret(key),
        payments={"bank": PaymentConfig(secrets=[LongSecret(PAYMENT_SECRET)])},
    )


@asynccontextmanager
async def open_console(
    folder: Path, config: AdminConfig | None = None
) -> AsyncIterator[ConsoleWorld]:
    """Run a gateway with a console for the length of the block."""
    with open_database(folder / "syze.db") as database:
        async with open_world() as world:
            console = ConsoleWorld(world, database)
            console.install(config or admin_config())
            yield console
            await world.leak_check()


def in_real_time(scenario: Callable[[], Any]) -> None:
    """Run a scenario whose threads take real time; nothing in it waits for a clock."""
    trio.run(scenario)


def check_answer(method: str, path: str, answer: ClientAnswer) -> None:
    """Fail unless the answer is what the document says of this route."""
    told = described(method, path)
    if told is None:
        return
    responses = told["responses"]
    success = responses.get(str(answer.status))
    assert success is not None or answer.status >= 400, (method, path, answer.status)
    response = success or resolved(responses["default"])
    schema = response["content"]["application/json"]["schema"]
    assert list(faults(schema, answer.json())) == []


def described(method: str, path: str) -> Any:
    """What the document says of a route, `None` where it does not have it."""
    for template, methods in DOCUMENT["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path.partition("?")[0]):
            return methods.get(method.lower())
    return None


def resolved(schema: Any) -> Any:
    if "$ref" not in schema:
        return schema
    found: Any = DOCUMENT
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


_TYPES: Mapping[str, tuple[type[Any], ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(schema: Any, value: Any, at: str = "$") -> list[str]:
    """What of a value does not fit a schema of the kind that msgspec makes."""
    schema = resolved(schema)
    if "anyOf" in schema:
        tried = [faults(one, value, at) for one in schema["anyOf"]]
        return [] if any(not found for found in tried) else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r} is none of {schema['enum']}"]
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "array":
        return [
            f for n, one in enumerate(value) for f in faults(schema["items"], one, f"{at}[{n}]")
        ]
    if kind == "object":
        return object_faults(schema, value, at)
    pattern = schema.get("pattern")
    return [f"{at}: {value!r}"] if pattern and not re.search(pattern, value) else []


def object_faults(schema: Any, value: Any, at: str) -> list[str]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    found = [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, member in value.items():
        if name in known:
            found += faults(known[name], member, f"{at}.{name}")
        elif others is False:
            found.append(f"{at}.{name} is not described")
        elif isinstance(others, dict):
            found += faults(others, member, f"{at}.{name}")
    return found
