"""The one who watches a request from its beginning to its end.

`begin` opens a record and `end` renders it: metrics, log line, span. Both are plain synchronous
calls, because the end of a request is clean-up and often runs under cancellation.

Beginning and ending pair up exactly. The number of requests in flight is what the leak check after
every test, and the drain at shutdown, rely on.
"""

from collections.abc import Callable

from router.observe.metrics import Metrics
from router.observe.record import Endpoint, RequestRecord
from router.observe.request_log import RequestLog
from router.observe.trace import Tracer


class EndedTwiceError(RuntimeError):
    """A record was ended a second time: a bug in the code that owns the request."""


class Observer:
    """Opens and closes the records of one gateway.

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
        metrics.watch_in_flight(lambda: self._in_flight)

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
        """Close a record and tell of it. Raises `EndedTwiceError` before counting anything again.

        A second end is refused loudly: to ignore it would hide that two places believe to own the
        request, and to count it would make the number in flight wrong for good.
        """
        if record.ended:
            raise EndedTwiceError(f"request {record.request_id} was ended twice")
        record.ended = True
        self._in_flight -= 1
        record.duration_seconds = self._now() - record.started
        record.drop_impossible_usage()
        self._metrics.observe(record)
        if self._tracer.enabled:
            self._tracer.end(record)
        self._requests.write(record)

    def trace_headers(self, record: RequestRecord) -> tuple[tuple[bytes, bytes], ...]:
        """The `traceparent` header for the upstream request, if there is one to send."""
        if record.span is None and record.traceparent is None:
            return ()
        told = self._tracer.child_traceparent(record)
        return () if told is None else ((b"traceparent", told.encode()),)
