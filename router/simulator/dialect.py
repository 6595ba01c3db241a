"""What the simulator wants of a dialect, so that it can speak any of them on one port."""

from typing import Protocol

from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.idiom import Idiom
from router.simulator.performance import Headers, Performance


class Dialect(Protocol):
    """One provider's way to be asked and to answer."""

    @property
    def idiom(self) -> Idiom:
        """Its words for errors."""

    def names_request(self, name: str) -> Headers:
        """The headers that tell a client its request's id."""

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without one of these keys; no keys at all admit any."""

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:
        """What the body itself orders; raises Refusal if that order is wrong."""

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what the provider refuses."""
