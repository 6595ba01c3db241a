"""Reading requests through the seam of `router.front.http1`, whichever parser stands behind it."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from router.errors import MalformedRequest
from router.front.http1.lines import Header, beginning
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser, RequestHead
from router.front.http1.reference import H11Parser
from router.front.http1.usual import Usual

PARSERS: dict[str, Callable[[], Http1Parser]] = {"llhttp": LlhttpParser, "h11": H11Parser}


def usual(status: int, headers: Sequence[Header] = ()) -> Usual:
    """What a whole answer begins with that has these headers, and no date."""
    return Usual(status, tuple(headers), beginning(status, headers))


class Read(NamedTuple):
    """One request as a parser told it: its head and all of its body."""

    head: RequestHead
    body: bytes


class Reading(NamedTuple):
    """What a connection's bytes were read as, and how it ended.

    `refused` is the status of a refusal, `None` where there was none; `open_request` is the head of one that
    was not read to its end, `unread` what came after the last request.
    """

    requests: list[Read]
    refused: int | None = None
    open_request: RequestHead | None = None
    unread: bytes = b""


def read(parser: Http1Parser, pieces: Iterable[bytes]) -> Reading:
    """Read requests one after another, each answered, for as long as the connection may be kept."""
    requests: list[Read] = []
    head: RequestHead | None = None
    body = b""
    to_come = iter(pieces)
    try:
        for piece in to_come:
            parser.receive_data(piece)
            while True:
                if head is None and (head := parser.next_head()) is None:
                    break
                if head.switch_to is not None:
                    rest = parser.taken_back() + b"".join(to_come)
                    return Reading([*requests, Read(head, b"")], unread=rest)
                while found := parser.next_body():
                    body += found
                if not parser.request_ended:
                    break
                requests.append(Read(head, body))
                head, body = None, b""
                parser.answer.head(204, [], close=False)
                parser.answer.end()
                if not parser.start_next_cycle():
                    return Reading(requests, unread=parser.unread + b"".join(to_come))
    except MalformedRequest as error:
        return Reading(requests, refused=error.render()[0])
    return Reading(requests, open_request=head, unread=b"" if head else parser.unread)


def bytewise(data: bytes) -> list[bytes]:
    """Every byte by itself; what is very long, in pieces of a few hundred."""
    size = 1 if len(data) < 2000 else 501
    return [data[at : at + size] for at in range(0, len(data), size)]
