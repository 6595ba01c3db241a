"""What a request's headers say to the data plane, read once for all requests of a connection that say it.

Who is calling is not decided here: a key may be revoked between two requests.
"""

from collections.abc import Sequence

import msgspec

from router.front.credentials import Credentials
from router.front.faces import Decode, decoder_of
from router.observe.record import Endpoint

Headers = Sequence[tuple[bytes, bytes]]


class Heading(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The headers of a request, and what was found in them.

    `decode` reads a body that comes with them. `traceparent` is untrusted text. `asks`: something is asked of
    the gateway itself (`router.exchange.options`).
    """

    headers: Headers
    decode: Decode
    credentials: Credentials
    origin: bytes | None
    traceparent: str | None
    asks: bool


def read_heading(door: Endpoint, headers: Headers) -> Heading:
    """Return what headers say, whose names are in lower case, to this door."""
    first = dict(reversed(headers))
    traceparent = first.get(b"traceparent")
    return Heading(
        headers=headers,
        decode=decoder_of(door, headers),
        credentials=Credentials(headers),
        origin=first.get(b"origin"),
        traceparent=None if traceparent is None else traceparent.decode("latin-1"),
        asks=any(name.startswith(b"x-syze-") for name in first),
    )
