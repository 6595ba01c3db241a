"""The failure table: complete, found by class, and the same as the one in the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from adapters.dialect import Failure, FailureKind
from router import errors
from router.routing.endpoint_health import EndpointLimits
from router.routing.key_health import KeyLimits
from router.routing.reaction import (
    REACTIONS,
    Mark,
    NextCandidate,
    Reaction,
    SameKey,
    Wait,
    reaction_to,
)

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/failures.md"


def written_rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the page, without its two lines of head."""
    _, found, rest = PAGE.read_text("utf-8").partition(f"## {heading}\n")
    assert found, f"the page has no heading {heading!r}"
    lines = re.findall(r"^\| (.*) \|$", rest.partition("\n## ")[0], re.MULTILINE)
    return [line.split(" | ") for line in lines[1:]]


def as_written(row: Reaction) -> list[str]:
    code = f"`{row.failure.code}`" if row.failure.code else "the provider's"
    words = row.same_key, row.next_candidate, row.wait, row.mark
    return [row.when, code, *(word.value for word in words)]


def leaves(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for child in kind.__subclasses__():
        yield child
        yield from leaves(child)


def test_the_documentation_has_the_table_row_for_row() -> None:
    assert written_rows("What follows") == [as_written(row) for row in REACTIONS]


@pytest.mark.parametrize(
    ("heading", "limits"),
    [("Ejection in figures", EndpointLimits()), ("Parked and dead in figures", KeyLimits())],
)
def test_the_documentation_has_the_figures(heading: str, limits: msgspec.Struct) -> None:
    told = {name.strip("`"): figure for name, figure, _ in written_rows(heading)}
    figures = msgspec.structs.asdict(limits)
    assert told == {name: f"{figure:g}" for name, figure in figures.items()}


def test_every_fault_of_an_attempt_has_a_row_with_and_without_a_retry_after() -> None:
    of_attempts = set(leaves(errors.UpstreamFault)) - {errors.UpstreamExhausted}
    for kind in of_attempts:
        for retry_after in (None, 2.0):
            assert reaction_to(kind("x"), retry_after=retry_after).failure is kind


def test_no_failure_has_two_rows() -> None:
    found = [
        (row.failure, told)
        for row in REACTIONS
        for told in (True, False)
        if row.told in {None, told}
    ]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("kind", "next_candidate"),
    [
        (FailureKind.CONTEXT_LENGTH, NextCandidate.LARGER_CONTEXT),
        (FailureKind.CONTENT_POLICY, NextCandidate.OPTED_IN),
        (FailureKind.REFUSED, NextCandidate.NEVER),
    ],
)
def test_a_refusal_costs_nobody_anything(kind: FailureKind, next_candidate: NextCandidate) -> None:
    error = errors.from_failure(Failure(kind=kind, status=400, message="no"), provider="p")
    row = reaction_to(error, retry_after=None)
    assert (row.same_key, row.mark) == (SameKey.NEVER, Mark.NOTHING)
    assert row.next_candidate is next_candidate


def test_a_rate_limit_is_waited_out_as_told() -> None:
    error = errors.UpstreamRateLimited("x")
    told, untold = reaction_to(error, retry_after=0.0), reaction_to(error, retry_after=None)
    assert (told.same_key, told.wait) == (SameKey.AFTER_RETRY_AFTER, Wait.RETRY_AFTER)
    assert (untold.same_key, untold.wait) == (SameKey.AFTER_BACKOFF, Wait.BACKOFF)
    assert told.mark is untold.mark is Mark.PARK_KEY


def test_a_class_without_a_row_is_treated_as_its_parent() -> None:
    failure = Failure(kind=FailureKind.REFUSED, status=400, message="no")
    found = reaction_to(errors.KnownRefusal(failure), retry_after=None)
    assert found.failure is errors.UpstreamRefusal


@pytest.mark.parametrize(
    "error",
    [errors.MissingKey(), errors.GatewayBug("id"), errors.UpstreamExhausted("all failed")],
)
def test_what_no_attempt_ends_with_has_no_row(error: errors.GatewayError) -> None:
    with pytest.raises(LookupError):
        reaction_to(error, retry_after=None)
