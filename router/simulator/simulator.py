"""The simulated provider: receives requests, decides on their performance, and keeps count.

It decides in a fixed order, that of a real service. The key first, so that strangers change
nothing; then the behaviour (the request's own, else the next planned one, else none); then faults
which need no valid request; then the path and the body; and the answer last. The path tells which
dialect is spoken, so one port serves them all.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

import trio

from router.simulator.answers import Answers
from router.simulator.anthropic.dialect import AnthropicDialect
from router.simulator.bedrock.dialect import BedrockDialect
from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.cohere.dialect import CohereDialect
from router.simulator.connection import Connection
from router.simulator.counts import Counts, SeenRequest
from router.simulator.dialect import Dialect
from router.simulator.gemini.dialect import GeminiDialect
from router.simulator.idiom import Complaint
from router.simulator.orders import behaviour_in_header
from router.simulator.performance import Ending, Headers, Performance, unanswered
from router.simulator.profile import Profile
from router.simulator.refusal import Refusal
from router.simulator.timing import Timing
from router.simulator.vertex.assertion import PublicKey
from router.simulator.vertex.dialect import VertexDialect
from router.simulator.vertex.token_service import TokenService
from router.simulator.whole import error_answer, ordered_error

BACKLOG = 4096
_ORDINARY = Behaviour()
_NO_ACCOUNTS: Mapping[str, PublicKey] = MappingProxyType({})


class _Spoken(Dialect, Protocol):
    """A dialect that is known by its paths."""

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether a request is in it."""


class Simulator:
    """A provider in every dialect for any number of connections.

    `seed` fixes every draw of the profile's latencies. `keep_requests` bounds `requests`, the
    latest received ones; 0 keeps none. With `required_keys`, a request needs one of them, in the
    header where its dialect has it; one written `ID:SECRET` is an access key of AWS's. With
    `service_accounts`, public keys by the account's address, its token service knows these alone.
    `wall_clock` gives unix seconds: the `created` of answers, and the time by which tokens expire.
    """

    def __init__(
        self,
        profile: Profile = Profile(),  # noqa: B008 - frozen
        *,
        seed: int = 0,
        keep_requests: int = 1000,
        required_keys: Collection[str] = (),
        service_accounts: Mapping[str, PublicKey] = _NO_ACCOUNTS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._profile = profile
        self.requests: deque[SeenRequest] = deque(maxlen=keep_requests)
        self._counts = Counts()
        self._plan: deque[Behaviour] = deque()
        self._rng = random.Random(seed)  # noqa: S311 - latencies that can be repeated, no secrets
        self._keys = frozenset(key.encode() for key in required_keys)
        self._wall_clock = wall_clock
        self._openai = Answers(profile)
        self._others: tuple[_Spoken, ...] = (
            AnthropicDialect(),
            VertexDialect(wall_clock=wall_clock),  # whose paths end as Gemini's do
            GeminiDialect(),
            BedrockDialect(),
            CohereDialect(),
            TokenService(service_accounts, wall_clock=wall_clock),
        )
        self._received = 0

    @property
    def open_connections(self) -> int:
        """Connections being served now."""
        return self._counts.open_connections

    @property
    def open_exchanges(self) -> int:
        """Requests received whole whose exchange is not over."""
        return self._counts.open_exchanges

    @property
    def completed(self) -> int:
        """Exchanges whose answer went out to its end."""
        return self._counts.completed

    @property
    def broken(self) -> int:
        """Exchanges which a planned cut or reset ended."""
        return self._counts.broken

    @property
    def aborted(self) -> int:
        """Exchanges whose client went away before the end."""
        return self._counts.aborted

    @property
    def planned(self) -> int:
        """Planned behaviours that no request has taken yet."""
        return len(self._plan)

    def plan(self, *behaviours: Behaviour) -> None:
        """Give the next requests these behaviours, in the order in which the requests arrive.

        It does not matter which connection they use. A request with a `simulate` field of its own
        takes none.
        """
        self._plan.extend(behaviours)

    def unplan(self) -> None:
        """Take back what is planned and has not met its request yet."""
        self._plan.clear()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until the client or a behaviour closes it, then close the stream."""
        self._counts.open_connections += 1
        try:
            await Connection(stream, answer=self.answer, counts=self._counts).run()
        finally:
            self._counts.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled; reports the port once connections are accepted.

        Raises OSError if the address cannot be bound. Cancellation closes every connection at once.
        """
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        bound: int = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, self.serve_stream, listeners))
            task_status.started(bound)

    def answer(self, request: SeenRequest) -> Performance:
        """Decide on the answer to a request, and remember the request."""
        self.requests.append(request)
        self._received += 1
        name = f"{self._received:08x}"
        dialect = self._dialect(request)
        headers = ((b"server", b"simulator"), *dialect.names_request("req_" + name))
        try:
            dialect.check_key(request, self._keys)
            behaviour = self._behaviour(request, dialect)
            return self._perform(request, dialect, behaviour, name=name, headers=headers)
        except Refusal as refusal:
            complaint = Complaint.of(refusal)
        except RecursionError:
            told = "The body of the request is nested too deeply."
            complaint = Complaint(status=400, message=told)
        error = dialect.idiom.error(complaint)
        headers = (*headers, *dialect.idiom.error_headers(complaint))
        return error_answer(complaint.status, error, behaviour=_ORDINARY, headers=headers)

    def _dialect(self, request: SeenRequest) -> Dialect:
        return next((one for one in self._others if one.is_spoken_in(request)), self._openai)

    def _behaviour(self, request: SeenRequest, dialect: Dialect) -> Behaviour:
        own = behaviour_in_header(request) or dialect.ordered_behaviour(request.body)
        if own is not None:
            return own
        return self._plan.popleft() if self._plan else _ORDINARY

    def _perform(
        self,
        request: SeenRequest,
        dialect: Dialect,
        behaviour: Behaviour,
        *,
        name: str,
        headers: Headers,
    ) -> Performance:
        if behaviour.reset_before_head:
            return unanswered(Ending.RESET, at=behaviour.delay_head or 0.0)
        if behaviour.silence:
            return unanswered(Ending.STALL, at=0.0)
        if behaviour.status is not None:
            return ordered_error(
                behaviour.status, idiom=dialect.idiom, behaviour=behaviour, headers=headers
            )
        refused = behaviour.refuses and dialect.idiom.refusal(behaviour.refuses)
        if refused:
            raise refused
        rng = random.Random(self._rng.getrandbits(64))  # noqa: S311 - as above
        timing = Timing.of(self._profile, behaviour, rng)
        created = int(self._wall_clock())
        around = Circumstances(self._profile, behaviour, timing, name, created, headers)
        return dialect.answer(request, around)
