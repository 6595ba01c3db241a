"""What load is wanted: on whom, how much, for how long, and what each request says."""

from typing import Any

import msgspec

from router.loadtest.target import Target


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One load. Times are seconds; `rate` (requests a second) makes an open loop, `connections` a closed one.

    It ends after `seconds` of measurement or after `requests` measured ones, whichever comes first; what
    begins in the first `warm` seconds is load too, and not measured. `stamped` says that the server writes
    the moment of sending into its events. Raises ValueError for a load that is neither or both.
    """

    model: str
    streamed: bool = True
    prompt: str = "Which trees grow by the river, and why there?"
    max_tokens: int | None = 128
    rate: float | None = None
    connections: int | None = None
    requests: int | None = None
    seconds: float = 30.0
    warm: float = 5.0
    timeout: float = 120.0
    seed: int = 0
    stamped: bool = False

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.connections is None):
            raise ValueError("a load has either a rate or a number of connections")

    def request(self, target: Target, number: int) -> bytes:
        """Write a request; its number keeps it apart from all others, so that no cache answers it."""
        fields: dict[str, Any] = {
            "messages": [{"role": "user", "content": f"{self.prompt} (Question {number}.)"}]
        }
        if self.max_tokens is not None:
            fields["max_tokens"] = self.max_tokens
        if self.streamed:
            fields["stream"] = True
        return target.request(fields)
