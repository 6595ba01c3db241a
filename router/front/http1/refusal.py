"""The answer of the connection itself: to what is no request, and to one that nobody answered."""

from typing import Final

from router.errors import GatewayError
from router.front.http1.answer import Answer
from router.front.http1.message import RequestHead

_UNREAD: Final = RequestHead("GET", b"/", "1.1", [])


def refusal(
    error: GatewayError, request_id: str, request: RequestHead | None, date: tuple[bytes, bytes]
) -> bytes:
    """Return a whole answer in OpenAI's envelope; the connection ends after it."""
    status, headers, body = error.render()
    answer = Answer(request or _UNREAD)
    told = [
        *headers,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        date,
    ]
    return answer.head(status, told, close=True) + answer.body(body) + answer.end()
