"""What the provider has seen: requests received, and how their exchanges are going.

The gauges change at the moment the thing itself changes. A test that asks whether the upstream saw
its connection closed reads them, so they must not lag behind a timer or a collector.
"""

from typing import Any

import msgspec

from router.simulator.performance import Ending


class SeenRequest(msgspec.Struct, frozen=True):
    """A request as it was received; header names are lower case, the order is kept."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header given in lower case."""
        return next((value for known, value in self.headers if known == name), None)

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON says
        """The body read as JSON; raises msgspec.DecodeError if it is none."""
        return msgspec.json.decode(self.body)


class Counts(msgspec.Struct):
    """Gauges of what is open now, and counters of how exchanges ended.

    An exchange is open from the moment the whole request is there. It ends completed (the answer
    went out to its end), broken (by our own cut or reset) or aborted (the client went away first).
    One that a shutdown of the provider interrupts is none of them.
    """

    open_connections: int = 0
    open_exchanges: int = 0
    completed: int = 0
    broken: int = 0
    aborted: int = 0

    def begin(self) -> None:
        """An exchange opens."""
        self.open_exchanges += 1

    def end(self, ending: Ending | None, *, client_left: bool) -> None:
        """An exchange is over; `ending` None means it did not come to its own end."""
        self.open_exchanges -= 1
        if ending in {Ending.COMPLETE, Ending.HANG_UP}:
            self.completed += 1
        elif ending is not None:
            self.broken += 1
        elif client_left:
            self.aborted += 1
