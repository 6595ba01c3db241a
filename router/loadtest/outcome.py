"""How one request went, and what went wrong if something did, by kind.

Kinds are what an operator acts on: a server that refuses is another matter than one that breaks off, and
a stream that ends in good order without saying so is neither.
"""

import msgspec
import trio

from router.loadtest.exchange import WrongAnswer, WrongStatus
from router.loadtest.response import BadResponse
from router.loadtest.stream import ErrorEvent, IncompleteStream

EXPECTED = (WrongAnswer, BadResponse, OSError, trio.BrokenResourceError)
"""What a request may raise."""

INCOMPLETE = "incomplete stream"
TIMEOUT = "timeout"
UNFINISHED = "unfinished at the end"


class Outcome(msgspec.Struct):
    """One request. Times are seconds.

    `due` counts from the start of the load, and `late` is by how much the load began it later.
    `first_token` and `seconds` count from the moment at which it was due, so that a load that runs late
    does not make the server look fast. `problem` is None for a good answer, else its kind, and `told`
    what was seen.
    """

    due: float
    late: float = 0.0
    first_token: float | None = None
    seconds: float = 0.0
    events: int = 0
    problem: str | None = None
    told: str = ""


def kind_of(error: Exception, *, answering: bool) -> str:
    """Name what went wrong; `answering` says whether the answer had begun."""
    if isinstance(error, WrongStatus):
        return f"status {error.status}"
    if isinstance(error, IncompleteStream):
        return INCOMPLETE
    if isinstance(error, ErrorEvent):
        return "error event"
    if isinstance(error, WrongAnswer):
        return "no completion"
    if answering:
        return "broken off"
    return "no response" if isinstance(error, BadResponse) else "no connection"
