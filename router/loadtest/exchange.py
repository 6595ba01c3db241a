"""One request and its answer over one wire."""

from collections.abc import Callable
from typing import Final

from router.loadtest.response import ResponseReader
from router.loadtest.wire import Wire

_SHOWN: Final = 200


class WrongAnswer(Exception):
    """The answer is not what the request should have produced."""


class WrongStatus(WrongAnswer):
    """The answer has another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}: {body[:_SHOWN]!r}")
        self.status = status


async def exchange(wire: Wire, request: bytes, use: Callable[[bytes], object]) -> bool:
    """Send a request, and give the body of its answer to `use`, piece by piece, until it ends.

    Returns whether the wire can take another request. Raises WrongStatus once some of the body shows why,
    BadResponse, what the wire raises, and what `use` raises. Cancellation leaves the wire good for
    closing only.
    """
    reader = ResponseReader()

    def take(data: bytes) -> bool:
        if not data:
            reader.receive_eof()
            if reader.status not in {0, 200}:
                raise WrongStatus(reader.status, b"")
            return True
        body = reader.receive_data(data)
        if reader.status not in {0, 200} and (body or reader.complete):
            raise WrongStatus(reader.status, body)
        if body:
            use(body)
        return reader.complete

    await wire.send(request)
    await wire.receive(take)
    return reader.reusable
