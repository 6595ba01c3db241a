"""The simulated provider: receives requests, decides on their performance, and keeps count.

It decides in a fixed order, that of a real service. The key first, so that strangers change
nothing; then the behaviour (the request's own, else the next planned one, else none); then faults
which need no valid request; then the path and the body; and the answer last.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial

import trio

from router.simulator.answers import Answers, Circumstances
from router.simulator.behaviour import Behaviour
from router.simulator.connection import Connection
from router.simulator.counts import Counts, SeenRequest
from router.simulator.fields import ordered_behaviour
from router.simulator.performance import Ending, Headers, Performance, unanswered
from router.simulator.profile import Profile
from router.simulator.refusal import Refusal, error_object
from router.simulator.timing import Timing
from router.simulator.whole import error_answer

BACKLOG = 4096
_ORDINARY = Behaviour()


class Simulator:
    """A provider in the OpenAI dialect for any number of connections.

    `seed` fixes every draw of the profile's latencies. `keep_requests` bounds `requests`, the
    latest received ones; 0 keeps none. With `required_keys`, a request needs one of them as bearer
    or `api-key`. `wall_clock` gives the `created` of answers in unix seconds.
    """

    def __init__(
        self,
        profile: Profile = Profile(),  # noqa: B008 - frozen
        *,
        seed: int = 0,
        keep_requests: int = 1000,
        required_keys: Collection[str] = (),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._profile = profile
        self.requests: deque[SeenRequest] = deque(maxlen=keep_requests)
        self._counts = Counts()
        self._plan: deque[Behaviour] = deque()
        self._rng = random.Random(seed)  # noqa: S311 - latencies that can be repeated, no secrets
        self._keys = frozenset(key.encode() for key in required_keys)
        self._wall_clock = wall_clock
        self._answers = Answers(profile)
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
        headers = ((b"server", b"simulator"), (b"x-request-id", b"req_" + name.encode()))
        try:
            self._check_key(request)
            behaviour = self._behaviour(request)
            return self._perform(request, behaviour, name=name, headers=headers)
        except Refusal as refusal:
            return error_answer(refusal.status, refusal.error, behaviour=_ORDINARY, headers=headers)
        except RecursionError:
            error = error_object(400, message="The body of the request is nested too deeply.")
            return error_answer(400, error, behaviour=_ORDINARY, headers=headers)

    def _check_key(self, request: SeenRequest) -> None:
        if not self._keys:
            return
        bearer = (request.header(b"authorization") or b"").partition(b" ")[2].strip()
        if bearer not in self._keys and request.header(b"api-key") not in self._keys:
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def _behaviour(self, request: SeenRequest) -> Behaviour:
        own = ordered_behaviour(request.body)
        if own is not None:
            return own
        return self._plan.popleft() if self._plan else _ORDINARY

    def _perform(
        self, request: SeenRequest, behaviour: Behaviour, *, name: str, headers: Headers
    ) -> Performance:
        if behaviour.reset_before_head:
            return unanswered(Ending.RESET, at=behaviour.delay_head or 0.0)
        if behaviour.silence:
            return unanswered(Ending.STALL, at=0.0)
        if behaviour.status is not None:
            error = behaviour.error or error_object(behaviour.status)
            return error_answer(behaviour.status, error, behaviour=behaviour, headers=headers)
        rng = random.Random(self._rng.getrandbits(64))  # noqa: S311 - as above
        timing = Timing.of(self._profile, behaviour, rng)
        return self._answers.to(
            request,
            Circumstances(behaviour, timing, name, int(self._wall_clock()), headers),
        )
