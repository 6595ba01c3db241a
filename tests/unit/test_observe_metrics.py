"""Prometheus metrics: their values after requests, and that clients cannot add series."""

from typing import Any, NamedTuple

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from adapters.dialect import Usage
from router.observe.metrics import Metrics
from router.observe.record import RequestRecord

KNOWN = {"openai/gpt-5-mini", "text-embedding-3-small"}


class Counts(NamedTuple):
    leased: int = 0
    idle: int = 0
    connecting: int = 0
    waiting: int = 0


def some_metrics(pool: Counts | None = None) -> Metrics:
    return Metrics(
        version="1.2.3",
        knows_model=KNOWN.__contains__,
        pool=lambda: pool or Counts(),
        lost_log_lines=lambda: 7,
    )


def a_record(**changes: Any) -> RequestRecord:
    record = RequestRecord(request_id="req_1", endpoint="chat", started=0.0, started_at=0.0)
    answered = {"model": "openai/gpt-5-mini", "provider": "openai", "status": 200, "outcome": "ok"}
    for name, value in (answered | changes).items():
        setattr(record, name, value)
    return record


class Attempt(NamedTuple):
    """As the books charge for it."""

    provider: str
    role: str
    fate: str
    payer: str
    usage: Usage


def cost(
    *,
    tokens: int,
    provider: str = "openai",
    role: str = "first",
    fate: str = "served",
    payer: str = "customer",
) -> Attempt:
    return Attempt(provider, role, fate, payer, Usage(input_tokens=tokens))


def samples(metrics: Metrics) -> dict[str, float]:
    """Value by `name{label=value,…}`, labels in alphabetical order."""
    text = metrics.render()[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def series_names(metrics: Metrics) -> set[str]:
    return {name for name in samples(metrics) if not name.startswith("process_")}


def test_requests_are_counted_by_status_and_outcome() -> None:
    metrics = some_metrics()
    for record in (
        a_record(),
        a_record(),
        a_record(status=503, outcome="upstream_error"),
        a_record(status=None, outcome="client_gone"),
        a_record(model=None, provider=None, status=401, outcome="client_error"),
    ):
        metrics.observe(record)
    values = samples(metrics)
    requests = {k: v for k, v in values.items() if k.startswith("syze_requests_total")}
    served = "endpoint=chat,model=openai/gpt-5-mini"
    assert requests == {
        f"syze_requests_total{{{served},outcome=ok,provider=openai,status=200}}": 2,
        f"syze_requests_total{{{served},outcome=upstream_error,provider=openai,status=503}}": 1,
        f"syze_requests_total{{{served},outcome=client_gone,provider=openai,status=none}}": 1,
        "syze_requests_total{endpoint=chat,model=unknown,outcome=client_error,"
        "provider=none,status=401}": 1,
    }


def test_times_fall_into_their_buckets() -> None:
    metrics = some_metrics()
    metrics.observe(a_record(duration_seconds=0.3, first_token_seconds=0.05))
    metrics.observe(a_record(duration_seconds=90.0, first_token_seconds=2.0))
    metrics.observe(a_record(duration_seconds=1.0))
    values = samples(metrics)
    labels = "endpoint=chat,{}model=openai/gpt-5-mini,{}provider=openai"
    whole = labels.format("{}", "outcome=ok,")
    assert values[f"syze_request_seconds_bucket{{{whole.format('le=0.25,')}}}"] == 0
    assert values[f"syze_request_seconds_bucket{{{whole.format('le=0.5,')}}}"] == 1
    assert values[f"syze_request_seconds_bucket{{{whole.format('le=80.0,')}}}"] == 2
    assert values[f"syze_request_seconds_bucket{{{whole.format('le=+Inf,')}}}"] == 3
    assert values[f"syze_request_seconds_sum{{{whole.format('')}}}"] == 91.3
    first = labels.format("{}", "")
    assert values[f"syze_first_token_seconds_bucket{{{first.format('le=0.05,')}}}"] == 1
    assert values[f"syze_first_token_seconds_count{{{first.format('')}}}"] == 2


def test_tokens_events_and_bytes_add_up() -> None:
    metrics = some_metrics()
    metrics.observe(a_record(input_tokens=100, output_tokens=7, events=9, sent_bytes=1000))
    metrics.observe(a_record(input_tokens=50, cached_tokens=40, reasoning_tokens=3, sent_bytes=1))
    values = samples(metrics)
    tokens = {k: v for k, v in values.items() if k.startswith("syze_tokens_total")}
    assert tokens == {
        "syze_tokens_total{kind=input,model=openai/gpt-5-mini,provider=openai}": 150,
        "syze_tokens_total{kind=output,model=openai/gpt-5-mini,provider=openai}": 7,
        "syze_tokens_total{kind=cached,model=openai/gpt-5-mini,provider=openai}": 40,
        "syze_tokens_total{kind=reasoning,model=openai/gpt-5-mini,provider=openai}": 3,
    }
    assert values["syze_stream_events_total"] == 9
    assert values["syze_sent_bytes_total"] == 1001


def test_attempts_are_counted_by_why_and_how_and_their_tokens_by_who_pays() -> None:
    metrics = some_metrics()
    waste = cost(fate="abandoned", payer="operator", tokens=100)
    refused = cost(fate="refused", payer="operator", tokens=0)
    metrics.observe(a_record(costs=[cost(tokens=120)]))
    metrics.observe(a_record(costs=[waste, refused, cost(tokens=30)]))
    metrics.observe(a_record(costs=[cost(provider="groq", role="hedge", tokens=7)]))
    metrics.observe_cost(cost(payer="operator", tokens=11))  # what a drain found out
    values = samples(metrics)
    assert {k: v for k, v in values.items() if k.startswith("syze_attempts_total")} == {
        "syze_attempts_total{fate=served,provider=openai,role=first}": 2,
        "syze_attempts_total{fate=abandoned,provider=openai,role=first}": 1,
        "syze_attempts_total{fate=refused,provider=openai,role=first}": 1,
        "syze_attempts_total{fate=served,provider=groq,role=hedge}": 1,
    }
    assert {k: v for k, v in values.items() if k.startswith("syze_attempt_tokens_total")} == {
        "syze_attempt_tokens_total{payer=customer,provider=openai,role=first}": 150,
        "syze_attempt_tokens_total{payer=operator,provider=openai,role=first}": 111,
        "syze_attempt_tokens_total{payer=customer,provider=groq,role=hedge}": 7,
    }


@pytest.mark.parametrize("tokens", [-5, 1 << 54, 10**400])
def test_tokens_that_no_attempt_can_have_taken_are_not_counted(tokens: int) -> None:
    metrics = some_metrics()
    metrics.observe(a_record(costs=[cost(tokens=tokens), cost(tokens=3)]))
    values = samples(metrics)
    series = "syze_attempt_tokens_total{payer=customer,provider=openai,role=first}"
    assert values[series] == 3


def test_what_can_be_read_is_read_when_asked_for() -> None:
    counts = Counts(leased=3, idle=2, connecting=1, waiting=4)
    metrics = some_metrics(counts)
    in_flight = [5]
    metrics.watch_requests(lambda: in_flight[0], lambda: None)
    assert samples(metrics)["syze_requests_in_flight"] == 5
    in_flight[0] = 6
    values = samples(metrics)
    assert values["syze_requests_in_flight"] == 6
    assert values["syze_upstream_connections{state=leased}"] == 3
    assert values["syze_upstream_connections{state=idle}"] == 2
    assert values["syze_upstream_connections{state=connecting}"] == 1
    assert values["syze_upstream_waiting"] == 4
    assert values["syze_build_info{version=1.2.3}"] == 1
    assert values["syze_log_lines_lost_total"] == 7
    assert values["process_open_fds"] > 0


def test_a_client_cannot_add_series() -> None:
    metrics = some_metrics()
    metrics.observe(a_record(model="invented-0", provider=None, status=404, outcome="client_error"))
    before = series_names(metrics)
    for number in range(1, 1000):
        metrics.observe(
            a_record(model=f"invented-{number}", provider=None, status=404, outcome="client_error")
        )
    assert series_names(metrics) == before
    assert len(metrics._series) == 1
    unknown = (
        "syze_requests_total{endpoint=chat,model=unknown,outcome=client_error,"
        "provider=none,status=404}"
    )
    assert samples(metrics)[unknown] == 1000


def test_a_model_named_like_the_label_for_unknown_ones_counts_there() -> None:
    metrics = some_metrics()
    for model in ("unknown", "invented", "unknown"):
        metrics.observe(a_record(model=model, provider=None, status=404, outcome="client_error"))
    assert len(metrics._series) == 1


def test_every_known_model_has_a_series_of_its_own() -> None:
    metrics = some_metrics()
    for model in KNOWN:
        metrics.observe(a_record(model=model))
    counted = {name for name in samples(metrics) if name.startswith("syze_requests_total")}
    assert {model for model in KNOWN if any(f"model={model}," in name for name in counted)} == KNOWN


def test_two_instances_share_nothing_and_register_nothing_globally() -> None:
    first, second = some_metrics(), some_metrics()
    first.observe(a_record())
    assert "syze_requests_total" in first.render()[0].decode().split("process_")[0]
    assert not any(name.startswith("syze_requests_total{") for name in samples(second))
    assert not any(family.name.startswith("syze") for family in REGISTRY.collect())


def test_every_metric_has_a_help_text_and_no_series_for_its_creation_time() -> None:
    metrics = some_metrics()
    metrics.observe(a_record(first_token_seconds=1.0, input_tokens=1))
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(body.decode()))
    assert all(family.documentation for family in families)
    assert b"_created" not in body
