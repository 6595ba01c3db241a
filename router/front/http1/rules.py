"""What a request's headers must agree on before it is served, whichever parser read them.

A body has one length or comes in chunks, never both and never twice (RFC 9112, section 6.3): where proxy
and server could count differently, the request is refused and the connection closed. So is a request
without its one Host, and one whose target is no path.
"""

import re
from typing import Final

from router.errors import MalformedRequest
from router.front.http1.head import RequestLine
from router.front.http1.message import RequestHead

_HEARD: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"upgrade",
    }
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#@]+(?![^/?])", re.IGNORECASE)

Heard = dict[bytes, list[bytes]]


def judge(line: RequestLine, headers: list[tuple[bytes, bytes]]) -> RequestHead:
    """Return the head that a request line and its headers make. Raises `MalformedRequest`."""
    method, target, version = line
    heard: Heard = {}
    for name, value in headers:
        if name in _HEARD:
            heard.setdefault(name, []).append(value)
    _check_host(heard.get(b"host", []), version)
    options = _tokens(heard, b"connection")
    body_bytes = _body_bytes(heard, version)
    return RequestHead(
        method,
        _origin_form(target, method),
        version,
        headers,
        body_bytes,
        keep_alive=version == "1.1" and b"close" not in options,
        expects_continue=(
            b"expect" in heard and version == "1.1" and b"100-continue" in _tokens(heard, b"expect")
        ),
        switch_to=(_switch(heard, method) if b"upgrade" in options and version == "1.1" else None),
    )


def _check_host(hosts: list[bytes], version: str) -> None:
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        raise MalformedRequest("A request has exactly one Host header.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise MalformedRequest("The Host header is not a host.")


def _body_bytes(heard: Heard, version: str) -> int | None:
    lengths = heard.get(b"content-length")
    codings = heard.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or version != "1.1" or len(codings) > 1:
            raise MalformedRequest("Content-Length and Transfer-Encoding contradict each other.")
        if codings[0].lower() != b"chunked":
            raise MalformedRequest("The only Transfer-Encoding understood is 'chunked'.")
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise MalformedRequest("The Content-Length header is not one number.")
    return int(lengths[0])


def _origin_form(target: bytes, method: str) -> bytes:
    """Return the target as a path; a whole URL, which proxies are sent, loses its scheme and host."""
    if not target.startswith(b"/"):
        if target == b"*" and method == "OPTIONS":
            return target
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            raise MalformedRequest("The request's target is not a path.")
        target = target[absolute.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        raise MalformedRequest("The request's target has a fragment.")
    return target


def _switch(heard: Heard, method: str) -> str | None:
    """Return what the client wants to speak instead; HTTP/2 is not among it (RFC 9113, section 3.1)."""
    wants = method == "GET" and _tokens(heard, b"upgrade") == {b"websocket"}
    return "websocket" if wants else None


def _tokens(heard: Heard, name: bytes) -> set[bytes]:
    """Return the comma-separated words of a header, in lower case."""
    values = heard.get(name)
    if values is None:
        return set()
    return {word.strip(b" \t") for word in b",".join(values).lower().split(b",")}
