"""Answers given as a whole: one JSON body, or one error, with the faults that can befall it."""

import gzip
from typing import Any, Final

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.idiom import Complaint, Idiom
from router.simulator.performance import JSON, Ending, Head, Headers, Performance, Step
from router.simulator.shaping import split

_USAGE: Final = frozenset({"usage", "usageMetadata", "meta"})


def whole_answer(
    answer: dict[str, Any],
    *,
    at: float,
    idiom: Idiom,
    behaviour: Behaviour,
    headers: Headers = (),
) -> Performance:
    """A 200 with this JSON, ready after `at` seconds, as the behaviour spoils or decorates it."""
    if behaviour.omit_usage:
        answer = {name: value for name, value in answer.items() if name not in _USAGE}
    answer = {**answer, **behaviour.extra}
    if behaviour.error_event_after is not None:
        answer = idiom.in_answer(Complaint.ordered(behaviour.error_event_status, behaviour))
    body = msgspec.json.encode(answer)
    if behaviour.malformed_at is not None:
        body = body[: len(body) * 2 // 3]
    if behaviour.gzip:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers = (*headers, (b"content-encoding", b"gzip"))
    head_at = at if behaviour.delay_head is None else behaviour.delay_head
    head = Head(200, (*JSON, *headers), len(body))
    return Performance(head_at, head, _body_steps(body, max(at, head_at), behaviour))


def ordered_error(
    status: int, *, idiom: Idiom, behaviour: Behaviour, headers: Headers
) -> Performance:
    """The HTTP error that a behaviour orders; its text stands for a body that is not JSON."""
    said = behaviour.error
    if not isinstance(said, str):
        complaint = Complaint.ordered(status, behaviour)
        said = idiom.error(complaint)
        headers = (*headers, *idiom.error_headers(complaint))
    if behaviour.retry_after is not None and idiom.retry_header:
        seconds = f"{behaviour.retry_after:.3f}".rstrip("0").rstrip(".")
        headers = (*headers, (b"retry-after", seconds.encode()))
    return error_answer(status, said, behaviour=behaviour, headers=headers)


def error_answer(
    status: int,
    said: dict[str, Any] | str,
    *,
    behaviour: Behaviour,
    headers: Headers = (),
) -> Performance:
    """An HTTP error, at once or when its head is due; a text is a body that is not JSON."""
    if isinstance(said, str):
        kind: Headers = ((b"content-type", b"text/html; charset=utf-8"),)
        body = said.encode()
    else:
        kind, body = JSON, msgspec.json.encode(said)
    at = behaviour.delay_head or 0.0
    head = Head(status, (*kind, *headers), len(body))
    return Performance(at, head, _body_steps(body, at, behaviour))


def _body_steps(body: bytes, at: float, behaviour: Behaviour) -> list[Step]:
    steps: list[Step] = [(at, *_broken_off(body, behaviour))]
    if behaviour.body_split is not None:
        return list(split(steps, behaviour.body_split))
    return steps


def _broken_off(body: bytes, behaviour: Behaviour) -> tuple[bytes, Ending]:
    if behaviour.cut_after is not None:
        return body[: len(body) // 2], Ending.CUT
    if behaviour.stall_after is not None:
        return body[: len(body) // 2], Ending.STALL
    return body, Ending.HANG_UP if behaviour.hang_up else Ending.COMPLETE
