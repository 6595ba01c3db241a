"""The forms of a body change its writes, and never its bytes or its ending."""

import gzip
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.simulator.performance import Ending, Step
from router.simulator.shaping import coalesced, crlf_event_lines, event_lines, gzipped, split

payloads = st.lists(st.binary(max_size=30), max_size=12)


def steps(data: list[bytes], ending: Ending = Ending.COMPLETE) -> list[Step]:
    body: list[Step] = [(float(at), piece, None) for at, piece in enumerate(data)]
    return [*body, (float(len(data)), b"", ending)]


def body(shaped: Iterable[Step]) -> bytes:
    return b"".join(data for _, data, _ in shaped)


@given(payloads, st.integers(1, 10))
def test_splitting_keeps_the_bytes_and_their_times(data: list[bytes], size: int) -> None:
    shaped = list(split(steps(data), size))
    assert body(shaped) == b"".join(data)
    assert all(len(piece) <= size for _, piece, _ in shaped)
    for at, piece in enumerate(data):
        assert b"".join(part for when, part, _ in shaped if when == at) == piece


@given(payloads, st.integers(1, 10))
def test_sharing_writes_keeps_the_bytes_and_waits_for_the_last(
    data: list[bytes], together: int
) -> None:
    shaped = list(coalesced(steps(data), together))
    assert body(shaped) == b"".join(data)
    assert len(shaped) == len(data) // together + 1
    assert [at for at, _, _ in shaped[:-1]] == [
        float(number * together - 1) for number in range(1, len(shaped))
    ]


@given(payloads)
def test_compression_keeps_the_bytes(data: list[bytes]) -> None:
    assert gzip.decompress(body(gzipped(steps(data)))) == b"".join(data)


def test_a_cut_body_is_not_compressed_to_its_end() -> None:
    with pytest.raises(EOFError):
        gzip.decompress(body(gzipped(steps([b"a"], Ending.CUT))))


@pytest.mark.parametrize("shape", [event_lines, crlf_event_lines])
def test_an_ending_without_payload_makes_no_event(
    shape: Callable[[Iterable[Step]], Iterable[Step]],
) -> None:
    assert list(shape([(1.0, b"", Ending.STALL)])) == [(1.0, b"", Ending.STALL)]


@pytest.mark.parametrize("ending", list(Ending))
def test_every_form_keeps_the_ending_on_the_last_step_alone(ending: Ending) -> None:
    plain = steps([b"one", b"two"], ending)
    forms = (
        event_lines(plain),
        crlf_event_lines(plain),
        coalesced(plain, 2),
        gzipped(plain),
        split(plain, 2),
    )
    for form in forms:
        *others, last = form
        assert last[2] is ending
        assert all(other[2] is None for other in others)
