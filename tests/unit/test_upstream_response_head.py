"""The lines of an answer's head: what is read from them, the first time and when they come again."""

import pytest

from router.upstream.response_head import MOST_KEPT_BYTES, read_headers, read_status_line


def headers_in(block: bytes) -> list[tuple[bytes, bytes]]:
    return list(read_headers(block.split(b"\r\n"), len(block)))


@pytest.mark.parametrize("padding", [b"", b"x" * MOST_KEPT_BYTES], ids=["kept", "too long to keep"])
def test_names_are_in_lower_case_and_values_bare_each_time(padding: bytes) -> None:
    lines = (
        b"Content-Type:application/json\r\nX-Empty:\r\nx-odd: \t a\tb \xe9 \t\r\nX-Long: " + padding
    )
    for _ in range(2):
        assert headers_in(lines) == [
            (b"content-type", b"application/json"),
            (b"x-empty", b""),
            (b"x-odd", b"a\tb \xe9"),
            (b"x-long", padding),
        ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"geheim",
        b": geheim",
        b"x : geheim",
        b" x: geheim",
        b"\tgeheim",
        b"x\xe9: geheim",
        b"x: gehe\rim",
        b"x: gehe\nim",
        b"x: geheim\n",
        b"x: gehe\x00im",
        b"x: gehe\x7fim",
    ],
)
@pytest.mark.parametrize("padding", [b"", b"x" * MOST_KEPT_BYTES], ids=["short", "long"])
def test_a_line_that_is_no_header_is_refused_wherever_it_stands_and_not_shown(
    line: bytes, padding: bytes
) -> None:
    known = b"x-known: " + padding
    assert len(headers_in(known)) == 1
    for lines in (line, line + b"\r\n" + known, known + b"\r\n" + line, line):
        with pytest.raises(ValueError, match="no header") as refused:
            headers_in(lines)
        assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"HTTP/1.1 200 OK", (200, True)),
        (b"HTTP/1.1 200", (200, True)),
        (b"HTTP/1.1 404 ", (404, True)),
        (b"HTTP/1.0 503 Service Unavailable", (503, False)),
        (b"HTTP/2.0 200 \xe9", (200, False)),
    ],
)
def test_a_status_line_says_its_status_and_whether_another_answer_may_follow(
    line: bytes, said: tuple[int, bool]
) -> None:
    assert read_status_line(line) == read_status_line(line) == said


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"http/1.1 200 OK",
        b"HTTP/1.7 200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 200 O\nK",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 O\x00K",
        b" HTTP/1.1 200 OK",
    ],
)
def test_what_is_no_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="first line"):
        read_status_line(line)
