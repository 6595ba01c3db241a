"""A client that asks over kept connections and measures each answer."""

from collections.abc import Callable
from typing import Protocol

import trio

from router.loadtest.exchange import exchange
from router.loadtest.outcome import EXPECTED, TIMEOUT, Outcome, kind_of
from router.loadtest.response import BadResponse
from router.loadtest.wire import Dial, Wire


class Reading(Protocol):
    """Follows one answer. `first_token` is a moment on trio's clock."""

    events: int
    first_token: float | None

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def finish(self) -> None:
        """The body has ended."""


class Client:
    """Asks one server; a connection serves one request at a time and is kept while the server lets it.

    `open` counts the answers under way: requests whose body has begun and not ended.
    """

    def __init__(self, dial: Dial, reading: Callable[[], Reading], *, timeout: float) -> None:
        self.open = 0
        self.most_open = 0
        self._dial = dial
        self._reading = reading
        self._timeout = timeout
        self._idle: list[Wire] = []

    async def ask(self, request: bytes, outcome: Outcome, *, start: float) -> None:
        """Ask and write down how it went; nothing of what goes wrong is raised.

        `start` is the beginning of the load on trio's clock. A cancelled request stays as `outcome` was
        before.
        """
        due = start + outcome.due
        outcome.late = trio.current_time() - due
        reading = self._reading()
        answer = _Answer(self, reading)
        try:
            with trio.fail_after(self._timeout):
                await self._exchange(request, answer)
            reading.finish()
        except trio.TooSlowError:
            outcome.problem = TIMEOUT
        except EXPECTED as error:
            outcome.problem = kind_of(error, answering=answer.begun)
            outcome.told = str(error) or type(error).__name__
        else:
            outcome.problem = None
        finally:
            answer.end()
            outcome.seconds = trio.current_time() - due
            outcome.events = reading.events
            if reading.first_token is not None:
                outcome.first_token = reading.first_token - due

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, request: bytes, answer: "_Answer") -> None:
        """Use a kept connection if there is one.

        One that turns out to be closed by the server costs a new one.
        """
        if self._idle:
            try:
                await self._over(self._idle.pop(), request, answer)
            except (BadResponse, OSError, trio.BrokenResourceError):
                if answer.begun:
                    raise
            else:
                return
        await self._over(await self._dial(), request, answer)

    async def _over(self, wire: Wire, request: bytes, answer: "_Answer") -> None:
        reusable = False
        try:
            reusable = await exchange(wire, request, answer.receive_data)
        finally:
            if reusable:
                self._idle.append(wire)
            else:
                wire.close()


class _Answer:
    """One answer as it comes, counted while it is open."""

    def __init__(self, client: Client, reading: Reading) -> None:
        self.begun = False
        self._client = client
        self._receive = reading.receive_data

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes."""
        if not self.begun:
            self.begun = True
            self._client.open += 1
            self._client.most_open = max(self._client.most_open, self._client.open)
        self._receive(data)

    def end(self) -> None:
        """It is over."""
        if self.begun:
            self._client.open -= 1
