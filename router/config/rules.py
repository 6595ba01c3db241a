"""What a single piece of configured text must look like: addresses, URLs, header names, names.

Each rule returns nothing or raises `ValueError`. The messages do not repeat what was written: a key
pasted into the wrong place must not come back out through an error message.
"""

import re
from urllib.parse import urlsplit

from adapters.bedrock.extra import MissingExtra, check_extra
from adapters.registry import DIALECTS

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BETA_FLAG = re.compile(r"[A-Za-z0-9._-]+")
_VISIBLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.%a-z]+\]")

# These frame the message or name its target; whoever sets them breaks the connection for everyone.
_FRAMING = frozenset(
    {"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


def bind_address(text: str) -> None:
    """Accept `host:port`; IPv6 in brackets, port 0 for any free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError('expected "host:port", IPv6 as "[::1]:8080"')
    if not _HOST.fullmatch(host) and not _IPV6.fullmatch(host):
        raise ValueError("the host is neither a name nor an address; IPv6 belongs in brackets")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("the port is not a number from 0 to 65535")


def fetched_host(text: str) -> None:
    """Accept `host`, or `host:port`; IPv6 in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if not _HOST.fullmatch(host) and not _IPV6.fullmatch(host):
        raise ValueError('expected "host" or "host:port", IPv6 in brackets')
    if colon and port and not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError("the port is not a number from 1 to 65535")


def base_url(text: str) -> None:
    """Accept an http or https URL of a host and maybe a path, and nothing besides."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("a URL holds no spaces, line breaks or characters beyond ASCII")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"}:
        raise ValueError('expected a URL that begins with "http://" or "https://"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not hold credentials; give them as `key` or `headers`")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the URL's port is not a number from 1 to 65535") from None
    if port == 0:
        raise ValueError("the URL's port is not a number from 1 to 65535")
    if parts.query or parts.fragment:
        raise ValueError("a base URL has no query and no fragment; parameters belong in `query`")


def origin(text: str) -> None:
    """Accept `*` or what a browser sends as its origin: scheme, host and maybe a port."""
    if text == "*":
        return
    if not _VISIBLE.fullmatch(text) or not re.fullmatch(
        r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+", text
    ):
        raise ValueError('expected "*" or an origin such as "https://app.example.com"')


def url_path(text: str) -> None:
    """Accept the path that follows a base URL, such as `/chat/completions`."""
    if not text.startswith("/") or not _VISIBLE.fullmatch(text) or "?" in text or "#" in text:
        raise ValueError('expected a path that begins with "/" and has no spaces, "?" or "#"')


def header_name(text: str) -> None:
    """Accept a header name that the gateway does not need for itself."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("not the name of an HTTP header")
    if text.lower() in _FRAMING:
        raise ValueError("this header belongs to the connection and cannot be configured")


def provider_name(text: str) -> None:
    """Accept letters, digits, `.`, `-` and `_`: the name becomes the first part of model ids."""
    if not _PROVIDER_NAME.fullmatch(text):
        raise ValueError("a provider's name has only letters, digits, dots, dashes and underscores")


def model_name(text: str) -> None:
    """Accept any visible text: providers put slashes, colons and at signs into model names."""
    if not text or not text.isprintable() or text != text.strip():
        raise ValueError("a model's name is not empty and has no line breaks or surrounding spaces")


def priced_model(text: str) -> None:
    """Accept the name of a model behind that of its provider."""
    model_name(text)
    provider, slash, model = text.partition("/")
    if not (provider and slash and model):
        raise ValueError('a price is set for "provider/model", as the provider calls the model')


def dialect(text: str) -> None:
    """Accept the name of a dialect that the gateway speaks."""
    if text not in DIALECTS:
        raise ValueError(f"not a known dialect; valid here: {', '.join(sorted(DIALECTS))}")
    if text == "bedrock":
        try:
            check_extra()
        except MissingExtra as error:
            raise ValueError(str(error)) from None


def beta_flag(text: str) -> None:
    """Accept one flag of the header `anthropic-beta`."""
    if not _BETA_FLAG.fullmatch(text):
        raise ValueError("a flag has only letters, digits, dots, dashes and underscores")


def visible(text: str) -> None:
    """Accept text without control characters, for names and values of query parameters."""
    if not text.isprintable():
        raise ValueError("holds a line break or another control character")
