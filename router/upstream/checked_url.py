"""A stranger's URL, read so that it can mean one thing only.

Whoever wants to reach what is not theirs writes addresses that one program reads otherwise than another:
numbers in octal, names with a password in front, odd characters. Such URLs are refused, not repaired. Where
the name leads is no question here; see `public_address` and `fetching`.
"""

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from router.upstream.origin import Origin
from router.upstream.public_address import Address

PORTS: Final = frozenset({80, 443})

_MAX_CHARACTERS: Final = 8192
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)+"
)
_ENDS_IN_NUMBER: Final = re.compile(r"(\A|.*\.)([0-9]+|0x[0-9a-f]*)\Z")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_AT_HOME: Final = (".localhost", ".local", ".internal", ".home.arpa", ".localdomain")


class UnsafeUrl(Exception):
    """The URL will not be followed. The message is for whoever sent it, and names nothing secret."""


class CheckedUrl(msgspec.Struct, frozen=True):
    """Where to connect, and what to ask for. `address`: of a URL whose host is one, not a name.

    `is_private`: the operator has named the host, so that it need not be a public one.
    """

    origin: Origin
    target: bytes
    address: Address | None = None
    is_private: bool = False


def check_url(
    url: str, *, ports: Collection[int] = PORTS, private: Collection[str] = ()
) -> CheckedUrl:
    """Read a URL. Raises `UnsafeUrl` where it could mean two things, or something that is not fetched.

    `private`: hosts that the operator has named (`host`, or `host:port` for another port).
    """
    if len(url) > _MAX_CHARACTERS:
        raise UnsafeUrl(f"the URL is longer than {_MAX_CHARACTERS} characters")
    if not _PLAIN.fullmatch(url):
        raise UnsafeUrl("the URL must be of visible ASCII characters without a backslash")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UnsafeUrl("the URL is malformed") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise UnsafeUrl("the URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise UnsafeUrl("the URL must not hold a user name or password")
    host, port = _host_and_port(parts)
    is_private = f"{host}:{port}" in private or (port in ports and host in private)
    if port not in ports and not is_private:
        raise UnsafeUrl(f"port {port} is not among those that are fetched from")
    address = _address(host)
    if address is None and not is_private:
        _check_name(host)
    name = host if address is None else str(address)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return CheckedUrl(Origin(parts.scheme, name, port), target.encode(), address, is_private)


def check_redirect(
    asked: CheckedUrl,
    location: str,
    *,
    ports: Collection[int] = PORTS,
    private: Collection[str] = (),
) -> CheckedUrl:
    """Read where an answer points to. Raises `UnsafeUrl`, also for a way out of TLS."""
    here = f"{asked.origin}{asked.target.decode()}"
    try:
        there = urljoin(here, location)
    except ValueError:
        raise UnsafeUrl("the URL leads to one that is malformed") from None
    found = check_url(there, ports=ports, private=private)
    if asked.origin.scheme == "https" and found.origin.scheme != "https":
        raise UnsafeUrl("the URL leads from https to http")
    return found


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    """Split the authority ourselves: what is left over on either side must not be passed over."""
    authority = parts.netloc.lower()
    if authority.startswith("["):
        host, closed, rest = authority.partition("]")
        host += closed
    else:
        host, colon, rest = authority.partition(":")
        rest = colon + rest
    if not rest:
        return host, _DEFAULT_PORTS[parts.scheme]
    if not rest.startswith(":") or not _PORT.fullmatch(rest[1:]):
        raise UnsafeUrl("the port of the URL is malformed")
    return host, int(rest[1:])


def _address(host: str) -> Address | None:
    """Return the address that a host is, `None` for a name. Only the usual ways of writing one are read."""
    try:
        if host.startswith("[") and "%" not in host:  # which would name a link of ours
            return IPv6Address(host[1:-1])
        if _ENDS_IN_NUMBER.fullmatch(host):
            return IPv4Address(host)
    except AddressValueError:
        raise UnsafeUrl("the address in the URL is not in its usual form") from None
    return None


def _check_name(host: str) -> None:
    if not _NAME.fullmatch(host):
        raise UnsafeUrl("the host of the URL must be a full name of a public host")
    if f".{host}".endswith(_AT_HOME):
        raise UnsafeUrl("the host of the URL is not a public one")
