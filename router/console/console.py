"""The console's routes on the front's application."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from quart import Quart, Response, request

from router.accounts.caller import Caller
from router.accounts.errors import AccountsError, StoreError
from router.accounts.keyring import KeyRing
from router.config import AdminConfig
from router.console.door import OperatorDoor
from router.console.errors import AdminKeyInvalid, translated
from router.console.openapi import openapi_document
from router.console.operation import Asked, Operation
from router.console.operations import ADMIN, EVERY, OWNERS
from router.console.payments import Payments
from router.console.reading import IDEMPOTENCY_HEADER, checked_key, read_body, read_query
from router.console.stores import Stores, StoreThreads
from router.front.credentials import authenticate
from router.front.quart_route import Handler, add_route, json_response, raw_headers
from router.ledger.errors import LedgerError

DOCUMENT_PATH: Final = "/admin/v1/openapi.json"
_NAMED: Final = re.compile(r"\{(\w+)\}")


class Console:
    """Serves the table of operations, its document, and the webhooks of payment providers.

    Without an admin key there is nothing for operators. `report(what, error)` hears when the database
    fails. `ring` is asked for the owners of API keys.
    """

    def __init__(
        self,
        config: AdminConfig,
        stores: Stores,
        *,
        ring: KeyRing,
        wall_clock: Callable[[], float],
        report: Callable[[str, Exception], None],
    ) -> None:
        self._door = None if config.key is None else OperatorDoor(config.key)
        self._threads = StoreThreads(stores)
        self._ring = ring
        self._report = report
        self._payments = Payments(config.payments, wall_clock=wall_clock)

    def install(self, app: Quart) -> None:
        """Add the routes to the application; its error handler renders what they raise."""
        self._add(app, OWNERS)
        # As for the models: users forget the /v1 of the base URL.
        for one in OWNERS:
            self._add(app, [msgspec.structs.replace(one, path=one.path.removeprefix("/v1"))])
        add_route(app, "/webhooks/payments/<name>", self._webhook, method="POST")
        if self._door is not None:
            self._add(app, ADMIN)
            document = openapi_document(EVERY)

            async def show_document() -> Response:
                return json_response(document)

            add_route(app, DOCUMENT_PATH, show_document, method="GET")

    def _add(self, app: Quart, operations: Iterable[Operation]) -> None:
        for one in operations:
            path = _NAMED.sub(r"<\1>", one.path)
            add_route(app, path, self._handler(one), method=one.method)

    def _handler(self, one: Operation) -> Handler:
        async def serve(**named: str) -> Response:
            caller = self._authorise(one)
            asked = Asked(
                target=next(iter(named.values()), ""),
                query=read_query(one.query, request.args.items(multi=True)),
                body=None if one.body is None else read_body(one.body, await _body()),
                key=checked_key(request.headers.get(IDEMPOTENCY_HEADER, ""))
                if one.idempotent
                else "",
                caller=caller,
            )
            answer = await self._call(one.handle, asked)
            return json_response(msgspec.json.encode(answer), status=one.status)

        return serve

    def _authorise(self, one: Operation) -> Caller | None:
        """Return whose API key asks, `None` for an operator; raises a 401 or 403 for anybody else."""
        if one.scope is not None:
            return authenticate(raw_headers(), self._ring, one.scope)
        if self._door is None:
            raise AdminKeyInvalid
        self._door.check(raw_headers())
        return None

    async def _webhook(self, name: str) -> Response:
        headers = {header.lower(): value for header, value in request.headers}
        paid = self._payments.verify(name, headers, await _body())
        entry = None if paid is None else await self._call(self._payments.book, paid)
        return json_response(msgspec.json.encode({"received": True, "booked": entry is not None}))

    async def _call(self, function: Callable[..., object], *arguments: Any) -> object:  # noqa: ANN401 - whatever it takes
        try:
            return await self._threads.call(function, *arguments)
        except (AccountsError, LedgerError) as error:
            if isinstance(error, StoreError):
                self._report("the console cannot use the database", error)
            raise translated(error) from error


async def _body() -> bytes:
    content = await request.get_data()
    return content if isinstance(content, bytes) else content.encode()
