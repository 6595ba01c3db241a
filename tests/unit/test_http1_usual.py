"""What many answers begin with: made once, by what it says, for as long as its date holds."""

import pytest

from router.front.http1.lines import Header
from router.front.http1.usual import UsualHeads

JSON = (b"content-type", b"application/json")


def heads_at(*seconds: bytes) -> UsualHeads:
    """Heads whose date is this one each time; the same object as long as it says the same."""
    dates = [(b"date", second) for second in seconds]
    told = iter([dates[seconds.index(second)] for second in seconds])
    return UsualHeads(lambda: next(told))


def test_a_beginning_has_its_status_its_headers_and_the_date() -> None:
    usual = heads_at(b"now").of(404, (JSON,))
    assert usual.lines == b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ndate: now"
    assert (usual.status, usual.headers) == (404, (JSON, (b"date", b"now")))


def test_the_same_beginning_is_made_once_a_second_and_another_by_itself() -> None:
    heads = heads_at(b"1", b"1", b"1", b"1", b"2", b"2")
    again: tuple[Header, ...] = ((JSON[0], b"".join([JSON[1]])),)
    kept = [heads.of(200, (JSON,)), heads.of(200, again)]
    others = [heads.of(201, (JSON,)), heads.of(200, ())]
    later = [heads.of(200, (JSON,)), heads.of(200, ())]
    assert kept[0] is kept[1]
    assert [one.lines for one in others] == [
        b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ndate: 1",
        b"HTTP/1.1 200 OK\r\ndate: 1",
    ]
    assert [one.headers[-1] for one in later] == [(b"date", b"2")] * 2


def test_beginnings_that_are_all_different_are_not_kept_for_ever() -> None:
    heads = heads_at(*[b"now"] * 1000)
    for number in range(1000):
        assert heads.of(200, ((b"x", b"%d" % number),)).lines.startswith(
            b"HTTP/1.1 200 OK\r\nx: %d\r\n" % number
        )
    assert len(heads._kept) < 500


def test_what_tells_of_framing_does_not_go_out() -> None:
    framing = ((b"Connection", b"close"), (b"content-length", b"1"), (b"transfer-encoding", b"x"))
    assert heads_at(b"now").of(200, framing).lines == b"HTTP/1.1 200 OK\r\ndate: now"


@pytest.mark.parametrize(
    "header", [(b"", b""), (b"a b", b""), (b"x", b"a\r\nb: c"), (b"x", b"\n"), (b"date", b"\0")]
)
def test_what_is_no_header_is_refused_each_time(header: Header) -> None:
    heads = heads_at(b"now", b"now")
    for _ in range(2):
        with pytest.raises(ValueError, match="not valid HTTP"):
            heads.of(200, (header,))
