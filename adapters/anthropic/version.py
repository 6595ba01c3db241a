"""The version of Anthropic's API that this dialect is written for, which every request must name."""

from typing import Final

from adapters.dialect import Headers

_HEADER: Final = b"anthropic-version"
_VERSION: Final = b"2023-06-01"


def with_version(headers: Headers) -> Headers:
    """Return the headers with the version, unless the configuration names one."""
    if any(name == _HEADER for name, _ in headers):
        return headers
    return [*headers, (_HEADER, _VERSION)]
