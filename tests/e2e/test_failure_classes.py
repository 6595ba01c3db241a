"""The failure table over real sockets: every row of it, with one fallback behind the primary.

`docs/reference/failures.md` shows the same rows; that they agree with the code is tested elsewhere, and that
none is missing here is tested below. What is checked is what a client and two providers can see: who
answered or what was said, and how often each provider was asked.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import pytest

from router.routing.endpoint_health import EndpointLimits
from router.routing.reaction import REACTIONS
from router.simulator import Behaviour
from tests.e2e.closed_doors import HEALTHY, TLS, Answered, Doors, closed_doors
from tests.e2e.exam import Hall, Room

PRIMARY, FALLBACK = "primary", "fallback"


class Case(NamedTuple):
    """One way to meet a row, and what is seen.

    `outcome`: who answers the first call, or the code of its error. `asked`: how many requests the primary
    and the fallback have got by then. `then`: the same after one more call, where the row has a mark that
    shows at once. `ending` of the model id: which of the room's configurations is asked.
    """

    row: str
    fault: Behaviour
    outcome: str
    asked: tuple[int, int]
    then: tuple[int, int] | None = None
    ending: str = ""
    stream: bool = False
    only_once: bool = False


def refusal(status: int, code: str | None, message: str = "no") -> Behaviour:
    error: dict[str, Any] = {"message": message, "type": "invalid_request_error", "code": code}
    return Behaviour(status=status, error=error)


BEFORE_AN_ANSWER = "refused, reset, DNS or TLS failure, before an answer"
TOO_LONG = "400, longer than the model's context"
NOT_UNDERSTOOD = "an answer that cannot be understood"
BROKEN = "cut, stalled or unreadable, once the client has part of the answer"
UNFETCHED = "400, a URL that could not be fetched for a provider that wants bytes"
LONG = refusal(400, "context_length_exceeded")

CASES = {
    "nobody listens": Case(
        BEFORE_AN_ANSWER, Behaviour(), FALLBACK, (0, 1), then=(0, 2), ending="-refusing"
    ),
    "nothing comes": Case(
        "nothing within a limit",
        Behaviour(silence=True),
        FALLBACK,
        (1, 1),
        ending="-impatient",
    ),
    "429 for a second": Case(
        "429 with Retry-After",
        Behaviour(status=429, retry_after=1),
        PRIMARY,
        (2, 0),
        then=(3, 0),
        only_once=True,
    ),
    "429 for a minute": Case(
        "429 with Retry-After",
        Behaviour(status=429, retry_after=60),
        FALLBACK,
        (1, 1),
        then=(1, 2),
    ),
    "429": Case("429 without Retry-After", Behaviour(status=429), FALLBACK, (1, 1), then=(1, 2)),
    **{
        str(status): Case(
            "500, 502, 503, 504, 529", Behaviour(status=status), FALLBACK, (2, 1), then=(4, 2)
        )
        for status in (500, 502, 503, 504, 529)
    },
    "503 for a minute": Case(
        "500, 502, 503, 504, 529",
        Behaviour(status=503, retry_after=60),
        FALLBACK,
        (1, 1),
        then=(1, 2),
    ),
    **{
        str(status): Case("401, 402, 403", Behaviour(status=status), FALLBACK, (1, 1), then=(1, 2))
        for status in (401, 402, 403)
    },
    "broken JSON": Case(NOT_UNDERSTOOD, Behaviour(malformed_at=0), FALLBACK, (2, 1)),
    "an error in a 200": Case(
        "500, 502, 503, 504, 529", Behaviour(error_event_after=0), FALLBACK, (2, 1), stream=True
    ),
    "cut": Case(
        BROKEN, Behaviour(gap=0.002, cut_after=9), "upstream_stream_broken", (1, 0), stream=True
    ),
    "stalled": Case(
        BROKEN, Behaviour(gap=0.002, stall_after=9), "upstream_stream_broken", (1, 0), stream=True
    ),
    "too long": Case(TOO_LONG, LONG, "context_length_exceeded", (1, 0), then=(2, 0)),
    "too long, and a larger model is there": Case(
        TOO_LONG, LONG, FALLBACK, (1, 1), then=(2, 2), ending="-larger"
    ),
    "a policy": Case(
        "400, refused by a content policy",
        refusal(400, "content_policy_violation"),
        "content_policy_violation",
        (1, 0),
        then=(2, 0),
    ),
    **{
        f"a refusal with {status}": Case(
            "any other 4xx", refusal(status, "tool_unknown"), "tool_unknown", (1, 0), then=(2, 0)
        )
        for status in (400, 404, 422)
    },
}


def test_every_row_is_met() -> None:
    met = {case.row for case in CASES.values()} | {UNFETCHED}
    assert met == {reaction.when for reaction in REACTIONS}


def test_a_file_that_cannot_be_fetched_is_a_400_and_nobody_is_asked(hall: Hall, room: Room) -> None:
    base_url = hall.gateway.base_url.removesuffix("/v1")
    source = {"type": "url", "url": "http://127.0.0.1:9/private.pdf"}
    messages: Any = [{"role": "user", "content": [{"type": "document", "source": source}]}]
    with (
        anthropic.Anthropic(base_url=base_url, api_key=hall.gateway.key, max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]"),
    ):
        client.messages.create(model=room.name, max_tokens=10, messages=messages)
    assert room.asked == (0, 0)


@pytest.mark.parametrize("name", CASES)
def test_a_failure_is_answered_as_the_table_says(hall: Hall, room: Room, name: str) -> None:
    case = CASES[name]
    if case.only_once:
        room.primary.plan(case.fault)
    else:
        room.primary.always = case.fault
    served = hall.ask(room.name + case.ending, stream=case.stream)
    if case.outcome in {PRIMARY, FALLBACK}:
        model = room.primary_model if case.outcome == PRIMARY else room.fallback_model
        assert served.failure is None
        assert (served.model, served.text) == (model, room.text)
    else:
        assert served.failure is not None
        assert served.failure.code == case.outcome
    assert room.asked == case.asked
    if case.then is not None:
        hall.ask(room.name + case.ending, stream=case.stream)
        assert room.asked == case.then


def test_a_refusal_keeps_its_status(hall: Hall, room: Room) -> None:
    room.primary.always = refusal(422, "tool_unknown", "there is no such tool")
    failure = hall.ask(room.name).failure
    assert failure is not None
    assert (failure.status, failure.code) == (422, "tool_unknown")
    assert "no such tool" in failure.message


def test_a_reset_is_retried_and_then_left(hall: Hall, room: Room) -> None:
    room.primary.always = Behaviour(reset_before_head=True)
    served = hall.ask(room.name)
    assert served.model == room.fallback_model
    assert served.attempts == 3


# --- connections that fail: one row, and many ways to meet it ----------------------------------------


@pytest.fixture(scope="module")
def ordinary_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Before a gateway that trusts whom the system trusts."""
    with closed_doors(tmp_path_factory.mktemp("doors"), {}) as opened:
        yield opened
        opened.gateway.leak_check()


@pytest.fixture(scope="module")
def trusted_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Before a gateway that trusts the authority which signed their certificate."""
    environ = {"SSL_CERT_FILE": str(TLS / "ca.pem")}
    with closed_doors(tmp_path_factory.mktemp("trusted"), environ) as opened:
        yield opened
        opened.gateway.leak_check()


def assert_left_alone_after_a_few(doors: Doors, door: str, *, kind: str, heard: bool) -> None:
    """Every call is answered by the healthy provider, while the door is tried less and less.

    It is alone in its tier, so it is tried again once, in the same call. What fails so often in a row is
    ejected: the last call does not even try it.
    """
    before = doors.knocks()
    answers = [doors.ask(door) for _ in range(4)]
    assert [one.provider for one in answers] == [HEALTHY] * 4
    assert [one.attempts for one in answers] == [3, 3, 2, 1]
    failures = sum(one.attempts - 1 for one in answers)
    assert failures == EndpointLimits().failures_in_a_row
    assert doors.knocks() - before == (failures if heard else 0)
    said = doors.failure(door)
    assert (said.status, said.code) == (503, "upstream_unreachable")
    assert f"({kind})" in said.message


@pytest.mark.parametrize(
    ("door", "kind", "heard"),
    [
        ("no-such-name", "dns", False),
        ("private-authority", "tls", True),
        ("plain-text", "tls", True),
    ],
)
def test_a_connection_that_fails_is_nothing_a_client_notices(
    ordinary_doors: Doors, door: str, kind: str, heard: bool
) -> None:
    assert_left_alone_after_a_few(ordinary_doors, door, kind=kind, heard=heard)


def test_neither_is_a_good_certificate_for_another_name(trusted_doors: Doors) -> None:
    assert trusted_doors.ask("private-authority") == Answered("private-authority", 1)
    assert_left_alone_after_a_few(trusted_doors, "another-name", kind="tls", heard=True)
