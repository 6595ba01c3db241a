"""A head that comes again is understood as it was the first time, whatever came before it."""

from hypothesis import given
from hypothesis import strategies as st

from router.errors import MalformedRequest
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import RequestHead
from tests.http1_reading import usual

LENGTHS = st.sampled_from([b"0", b"5", b"05", b"12", b"+5", b"", b"5 ", b"5\t", b"5a", b"9" * 19])
NAMES = st.sampled_from([b"content-length", b"Content-Length", b"x-content-length", b"x"])
LINES = st.tuples(NAMES, st.sampled_from([b": ", b":", b":\t"]), LENGTHS)
HEADS = st.builds(
    lambda path, lines: (
        b"POST /%b HTTP/1.1\r\nhost: a\r\n%b\r\n"
        % (path, b"".join(name + colon + value + b"\r\n" for name, colon, value in lines))
    ),
    st.sampled_from([b"", b"a"]),
    st.lists(LINES, max_size=2),
)


def read(parser: LlhttpParser, raw: bytes) -> RequestHead | str:
    parser.receive_data(raw)
    try:
        head = parser.next_head()
    except MalformedRequest as error:
        return error.message
    assert head is not None
    assert parser.taken_back() == raw
    return head


@given(st.lists(HEADS, min_size=1, max_size=4), st.integers(0, 3))
def test_a_connection_understands_each_head_as_if_it_were_its_first(
    heads: list[bytes], again: int
) -> None:
    parser = LlhttpParser()
    for raw in [*heads, heads[again % len(heads)]]:
        fresh = read(LlhttpParser(), raw)
        known = read(parser, raw)
        assert known == fresh
        if isinstance(known, str):
            return
        body = b"x" * (known.body_bytes or 0)
        parser.receive_data(body)
        while not parser.request_ended and parser.next_body():
            pass
        parser.answer.whole(usual(200), [], b"", close=False)
        if not parser.start_next_cycle():
            assert not known.keep_alive
            return


def test_heads_that_differ_in_length_alone_share_what_was_made_of_them_and_others_do_not() -> None:
    parser = LlhttpParser()
    raw = b"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: %d\r\nx-syze-hedge: %b\r\n\r\n"
    heads = []
    for length, hedge in [(0, b"on"), (0, b"on"), (1, b"on"), (12, b"on"), (12, b"off")]:
        head = read(parser, raw % (length, hedge))
        assert isinstance(head, RequestHead)
        assert (head.body_bytes, dict(head.headers)[b"content-length"]) == (length, b"%d" % length)
        heads.append(head)
        parser.receive_data(b"x" * length)
        parser.next_body()
        parser.answer.whole(usual(200), [], b"", close=False)
        assert parser.start_next_cycle()
    kinds = [head.likeness for head in heads]
    assert [kind is kinds[0] for kind in kinds] == [True, True, True, True, False]
