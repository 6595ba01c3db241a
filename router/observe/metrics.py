"""Counters and histograms for Prometheus.

Every distinct set of label values is a time series that lives until the process ends, here and in
the Prometheus server. So no label may hold what a client can choose: a model name is a label only
if the catalog knows it, and is "unknown" otherwise.

Finding a series by its labels costs more than counting in it, so all the series of one kind of
request are looked up together, once, and kept.

Nothing is registered globally: two instances in one process know nothing of each other.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from router.observe.readings import PoolCounts, Readings
from router.observe.record import MOST_TOKENS, Cost, Endpoint, Outcome, RequestRecord
from router.observe.tally import Count, Counts, Spread, Spreads

UNKNOWN: Final = "unknown"
_NONE: Final = "none"

_REQUEST_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_FIRST_TOKEN_BUCKETS: Final = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25, 50, 100)

_SeriesKey = tuple[Endpoint, str | None, str | None, int | None, Outcome]


class Metrics:
    """All metrics of one gateway, in a registry of its own.

    `knows_model` says whether a model id, as clients write it, is in the catalog. `pool` and
    `lost_log_lines` are asked when the metrics are rendered.
    """

    def __init__(
        self,
        *,
        version: str,
        knows_model: Callable[[str], bool],
        pool: Callable[[], PoolCounts],
        lost_log_lines: Callable[[], int],
    ) -> None:
        self._knows_model = knows_model
        self._series: dict[_SeriesKey, _Series] = {}
        self._catch_up: Callable[[], None] = _nothing_is_put_off
        self._registry = CollectorRegistry()
        self._families = _Families(self._registry)
        self._readings = Readings(version=version, pool=pool, lost_log_lines=lost_log_lines)
        self._registry.register(self._readings)
        ProcessCollector(registry=self._registry)

    def watch_requests(self, in_flight: Callable[[], int], catch_up: Callable[[], None]) -> None:
        """Before telling, have `catch_up` count what was put off, and ask `in_flight` for the rest."""
        self._readings.in_flight = in_flight
        self._catch_up = catch_up

    def observe(self, record: RequestRecord) -> None:
        """Count a finished request and its attempts. To be called once for each."""
        series = self._series.get(
            (record.endpoint, record.model, record.provider, record.status, record.outcome)
        )
        if series is None:
            series = self._series_for(record)
        series.observe(record)
        for cost in record.costs:
            self._families.attempts.series[cost.provider, cost.role, cost.fate].value += 1
            self.observe_cost(cost)
        self._families.events.value += record.events
        self._families.sent_bytes.value += record.sent_bytes

    def observe_cost(self, cost: Cost) -> None:
        """Count the tokens that an attempt took, whose request has been counted or will be.

        As `RequestRecord.drop_impossible_usage` does, it counts nothing that no model can have used.
        """
        tokens = cost.usage.input_tokens + cost.usage.output_tokens
        if 0 < tokens <= MOST_TOKENS:
            series = self._families.attempt_tokens.series
            series[cost.provider, cost.role, cost.payer].value += tokens

    def render(self) -> tuple[bytes, str]:
        """The metrics in Prometheus' text format, and the content type to send them with."""
        self._catch_up()
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _series_for(self, record: RequestRecord) -> "_Series":
        asked = record.model
        model = asked if asked is not None and self._knows_model(asked) else UNKNOWN
        # Kept under the label, not under the name asked for: clients can invent names for ever.
        key = (record.endpoint, model, record.provider, record.status, record.outcome)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(self._families, record, model)
        return series


def _nothing_is_put_off() -> None:
    pass


class _Families:
    """The metrics that are counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counts(
            "syze_requests",
            "Requests ended, by the status the client was told and by what became of them.",
            ("endpoint", "model", "provider", "status", "outcome"),
            registry=registry,
        )
        self.seconds = Spreads(
            "syze_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("endpoint", "model", "provider", "outcome"),
            bounds=_REQUEST_BUCKETS,
            registry=registry,
        )
        self.first_token = Spreads(
            "syze_first_token_seconds",
            "Time from a request's arrival to the first meaningful event of its stream.",
            ("endpoint", "model", "provider"),
            bounds=_FIRST_TOKEN_BUCKETS,
            registry=registry,
        )
        self.tokens = Counts(
            "syze_tokens",
            "Tokens used. Cached tokens are among the input, reasoning tokens among the output.",
            ("model", "provider", "kind"),
            registry=registry,
        )
        self.attempts = Counts(
            "syze_attempts",
            "Upstream attempts, by why they were made and what became of them.",
            ("provider", "role", "fate"),
            registry=registry,
        )
        self.attempt_tokens = Counts(
            "syze_attempt_tokens",
            "Tokens that attempts cost, input and output together, by who pays for them.",
            ("provider", "role", "payer"),
            registry=registry,
        )
        self.events = Counts(
            "syze_stream_events", "Streamed events relayed to clients.", registry=registry
        ).series[()]
        self.sent_bytes = Counts(
            "syze_sent_bytes", "Bytes of answers sent to clients.", registry=registry
        ).series[()]


class _Series:
    """The series in which one kind of request is counted.

    Those that not every request has something for are made when the first one has, so that, say,
    refused requests do not fill the page with empty histograms.
    """

    def __init__(self, families: _Families, record: RequestRecord, model: str) -> None:
        self._families = families
        self._model = model
        self._provider = record.provider or _NONE
        self._endpoint = record.endpoint
        status = _NONE if record.status is None else str(record.status)
        self._requests = families.requests.series[
            self._endpoint, model, self._provider, status, record.outcome
        ]
        self._seconds = families.seconds.series[
            self._endpoint, model, self._provider, record.outcome
        ]

    def observe(self, record: RequestRecord) -> None:
        self._requests.value += 1
        self._seconds.observe(record.duration_seconds)
        if record.first_token_seconds is not None:
            self._first_token.observe(record.first_token_seconds)
        if record.input_tokens:
            self._input_tokens.value += record.input_tokens
        if record.output_tokens:
            self._output_tokens.value += record.output_tokens
        if record.cached_tokens:
            self._cached_tokens.value += record.cached_tokens
        if record.reasoning_tokens:
            self._reasoning_tokens.value += record.reasoning_tokens

    @cached_property
    def _first_token(self) -> Spread:
        return self._families.first_token.series[self._endpoint, self._model, self._provider]

    @cached_property
    def _input_tokens(self) -> Count:
        return self._tokens("input")

    @cached_property
    def _output_tokens(self) -> Count:
        return self._tokens("output")

    @cached_property
    def _cached_tokens(self) -> Count:
        return self._tokens("cached")

    @cached_property
    def _reasoning_tokens(self) -> Count:
        return self._tokens("reasoning")

    def _tokens(self, kind: str) -> Count:
        return self._families.tokens.series[self._model, self._provider, kind]
