"""Properties of what the gateway tells: no secret, one line a record, bounded series, no leak."""

import io
import string
from typing import get_args

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from router.observe.clean import clean_fields
from router.observe.line import LineClock
from router.observe.log import Log, make_log
from router.observe.metrics import Metrics
from router.observe.observer import Observer
from router.observe.record import Endpoint, Outcome, RequestRecord
from router.observe.request_log import RequestLog
from router.observe.secret import may_hold_secret, redact
from router.observe.trace import Tracer
from router.upstream.pool import PoolSnapshot

BASE62 = string.ascii_letters + string.digits
SHOWN = 6  # so many characters of a secret in a row would be a leak

bodies = st.text(BASE62, min_size=32, max_size=32)
heads = st.sampled_from(
    [
        "sk-syze-",
        "sk-",
        "sk-ant-api03-",
        "Bearer ",
        "bearer  ",
        "BEARER\t",
        "x-api-key: ",
        "api_key=",
        '"apiKey":"',
        "authorization=Basic ",
        "password: '",
        "refresh_token=",
        "https://user:",
    ]
)
anything = st.text(max_size=250)


def a_log(file: io.BytesIO, **fields: object) -> Log:
    return make_log(file, level="debug", wall_clock=lambda: 0.0, fields=fields)


def assume_only_secret(body: str, *texts: str) -> None:
    """Leave out examples where a part of the secret stands in the harmless text as well."""
    parts = {body[start : start + SHOWN] for start in range(len(body) - SHOWN + 1)}
    assume(not any(part.lower() in text.lower() for part in parts for text in texts))


def leaks(body: str, output: bytes) -> bool:
    text = output.decode()
    return any(body[start : start + SHOWN] in text for start in range(len(body) - SHOWN + 1))


@given(before=anything, after=anything, body=bodies, where=st.integers(0, 5))
def test_observe_a_key_of_ours_reaches_no_line_wherever_it_stands(
    before: str, after: str, body: str, where: int
) -> None:
    assume_only_secret(body, before, after, "sk-syze-")
    text = f"{before}sk-syze-{body}{after}"
    places: list[dict[str, object]] = [
        {"model": text},
        {"nested": [{"deeper": (1, text)}]},
        {"raw": text.encode("utf-8", "backslashreplace")},
        {"keys": {text: 1}},
        {"object": ValueError(text)},
        {"exc_info": ValueError(text)},
    ]
    file = io.BytesIO()
    logger = a_log(file).logger
    logger.info("line", **places[where])
    logger.info(text)
    assert not leaks(body, file.getvalue())
    assert len(file.getvalue().splitlines()) == 2


@given(
    head=heads, body=bodies, before=anything, after=st.sampled_from(["", " x", '"}', "'", "@h/"])
)
def test_observe_no_other_secret_reaches_a_line_either(
    head: str, body: str, before: str, after: str
) -> None:
    separator = " " if head == "sk-" else ""  # the loose form counts at the start of a word only
    if head.startswith("https"):
        after = "@host/"
    assume_only_secret(body, before + " " + head)
    file = io.BytesIO()
    a_log(file).logger.info("line", text=f"{before}{separator}{head}{body}{after}")
    assert not leaks(body, file.getvalue())


@given(
    text=st.one_of(st.text(), st.lists(st.one_of(heads, bodies, st.text(max_size=5))).map("".join))
)
def test_observe_the_quick_look_for_secrets_never_misses_one(text: str) -> None:
    assert may_hold_secret(text) or redact(text) == text


@given(
    fields=st.dictionaries(
        st.one_of(st.text(max_size=10), st.sampled_from(["token", "model", "Cookie"])),
        st.one_of(st.text(), st.integers(), st.booleans(), st.none(), heads),
    )
)
def test_observe_the_quick_way_of_cleaning_gives_what_the_thorough_one_gives(
    fields: dict[str, object],
) -> None:
    thorough = clean_fields(fields | {"a list is thorough": []})
    del thorough["a list is thorough"]
    assert clean_fields(fields) == thorough


@given(
    model=st.text(),
    error_code=st.none() | st.text(),
    client_host=st.none() | st.text(),
    outcome=st.sampled_from(get_args(Outcome)),
    events=st.integers(0, 1 << 60),
)
def test_observe_every_record_is_one_line_of_json(
    model: str,
    error_code: str | None,
    client_host: str | None,
    outcome: Outcome,
    events: int,
) -> None:
    record = RequestRecord(request_id="r", endpoint="chat", started=0.0, started_at=0.0)
    record.model, record.error_code, record.client_host = model, error_code, client_host
    record.outcome, record.events = outcome, events
    file = io.BytesIO()
    a_log(file).requests.write([record])
    [line] = file.getvalue().decode().splitlines()
    decoded = msgspec.json.decode(line)
    assert (decoded["event"], decoded["outcome"], decoded["events"]) == ("request", outcome, events)


@given(
    texts=st.lists(st.none() | st.text(max_size=300) | heads | bodies, min_size=5, max_size=5),
    outcome=st.sampled_from(get_args(Outcome)),
    first_token=st.none() | st.floats(0, 1000),
    fails=st.booleans(),
)
def test_observe_the_shortcut_writes_the_line_that_the_pipeline_writes(
    texts: list[str | None], outcome: Outcome, first_token: float | None, fails: bool
) -> None:
    record = RequestRecord(request_id="r", endpoint="chat", started=0.0, started_at=0.0)
    record.model, record.client_host, record.traceparent, record.error_code, record.key_id = texts
    record.outcome, record.first_token_seconds = outcome, first_token
    record.exception = ValueError("x") if fails else None
    short, long = io.BytesIO(), io.BytesIO()
    quick = a_log(short, worker=3).requests
    for _ in range(2):
        quick.write([record])
        log = a_log(long, worker=3)
        slow = RequestLog(log.logger, None, writer=log.writer, clock=LineClock(float))
        slow.write([record])
    assert short.getvalue() == long.getvalue()


@given(
    models=st.lists(st.one_of(st.text(), st.sampled_from(["known/a", "known/b"])), max_size=40),
    endpoint=st.sampled_from(get_args(Endpoint)),
)
def test_observe_series_are_bounded_by_the_catalog(models: list[str], endpoint: Endpoint) -> None:
    metrics = Metrics(
        version="1",
        knows_model={"known/a", "known/b"}.__contains__,
        pool=PoolSnapshot,
        lost_log_lines=int,
    )
    for model in models:
        record = RequestRecord(request_id="r", endpoint=endpoint, started=0.0, started_at=0.0)
        record.model, record.status, record.outcome = model, 200, "ok"
        record.input_tokens, record.first_token_seconds = 1, 0.5
        metrics.observe(record)
    text = metrics.render()[0].decode()
    for series, most in (
        ("syze_requests_total{", 3),
        ("syze_tokens_total{", 3),
        ("syze_first_token_seconds_count{", 3),
    ):
        assert sum(line.startswith(series) for line in text.splitlines()) <= most
    assert len(metrics._series) <= 3


@given(data=st.data())
def test_observe_nothing_is_in_flight_after_any_order_of_ends(data: st.DataObject) -> None:
    observer = Observer(
        requests=a_log(io.BytesIO()).requests,
        metrics=Metrics(version="1", knows_model=bool, pool=PoolSnapshot, lost_log_lines=int),
        tracer=Tracer(),
        now=lambda: 0.0,
        wall_clock=lambda: 0.0,
    )
    running: list[RequestRecord] = []
    for number in range(data.draw(st.integers(1, 20))):
        running.append(observer.begin(f"r{number}", "chat"))
        if data.draw(st.booleans()):
            observer.end(running.pop(data.draw(st.integers(0, len(running) - 1))))
        assert observer.in_flight == len(running)
    for record in data.draw(st.permutations(running)):
        record.outcome = data.draw(st.sampled_from(get_args(Outcome)))
        observer.end(record)
    assert observer.in_flight == 0
