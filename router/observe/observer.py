"""The one who watches a request from its beginning to its end.

`begin` opens a record and `end` closes it. Both are plain synchronous calls, because the end of a
request is clean-up and often runs under cancellation. What is then told of it (metrics, log line, span)
nobody waits for where the request went well: it is told a moment later, of many together, and before
anybody can look.

Beginning and ending pair up exactly. The number of requests in flight is what the leak check after
every test, and the drain at shutdown, rely on.
"""

from collections.abc import Callable

import trio

from router.observe.gathering import Gathering
from router.observe.metrics import Metrics
from router.observe.record import Endpoint, RequestRecord
from router.observe.request_log import RequestLog
from router.observe.trace import Tracer


class EndedTwiceError(RuntimeError):
    """A record was ended a second time: a bug in the code that owns the request."""


class Observer:
    """Opens and closes the records of one gateway. While `run` runs, what goes well is told a moment later.

    `now` is the monotonic clock that durations are measured on (trio's, so that virtual time
    works); `wall_clock` gives unix seconds.
    """

    def __init__(
        self,
        *,
        requests: RequestLog,
        metrics: Metrics,
        tracer: Tracer,
        now: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._requests = requests
        self._metrics = metrics
        self._tracer = tracer
        self._now = now
        self._wall_clock = wall_clock
        self._in_flight = 0
        self._gathering = Gathering(self._tell)
        metrics.watch_requests(lambda: self._in_flight, self.catch_up)
        requests.catch_up_by(self.catch_up)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell of requests a moment after their ends, until cancelled; of what is left then."""
        await self._gathering.run(task_status=task_status)

    def catch_up(self) -> None:
        """Tell of every request that has ended."""
        self._gathering.catch_up()

    @property
    def in_flight(self) -> int:
        """Requests begun and not yet ended."""
        return self._in_flight

    def begin(
        self,
        request_id: str,
        endpoint: Endpoint,
        *,
        client_host: str | None = None,
        traceparent: str | None = None,
    ) -> RequestRecord:
        """Open the record of a request that has just arrived."""
        record = RequestRecord(
            request_id=request_id,
            endpoint=endpoint,
            started=self._now(),
            started_at=self._wall_clock(),
            client_host=client_host,
            traceparent=traceparent,
        )
        if self._tracer.enabled:
            self._tracer.begin(record)
        self._in_flight += 1
        return record

    def end(self, record: RequestRecord) -> None:
        """Close a record. What did not go well is told of at once.

        Raises `EndedTwiceError` before counting anything again.

        A second end is refused loudly: to ignore it would hide that two places believe to own the
        request, and to count it would make the number in flight wrong for good.
        """
        if record.ended:
            raise EndedTwiceError(f"request {record.request_id} was ended twice")
        record.ended = True
        self._in_flight -= 1
        record.duration_seconds = self._now() - record.started
        self._gathering.add(record)
        if record.outcome != "ok":
            self._gathering.catch_up()

    def _tell(self, records: list[RequestRecord]) -> None:
        for record in records:
            record.drop_impossible_usage()
            self._metrics.observe(record)
            if record.span is not None:
                self._tracer.end(record)
        self._requests.write(records)

    def trace_headers(self, record: RequestRecord) -> tuple[tuple[bytes, bytes], ...]:
        """The `traceparent` header for the upstream request, if there is one to send."""
        if record.span is None and record.traceparent is None:
            return ()
        told = self._tracer.child_traceparent(record)
        return () if told is None else ((b"traceparent", told.encode()),)
