"""The version of Anthropic's API that this dialect is written for, which every request must name."""

from typing import Final

from adapters.dialect import Headers

_BETA: Final = b"anthropic-beta"
_HEADER: Final = b"anthropic-version"
_VERSION: Final = b"2023-06-01"


def with_version(headers: Headers) -> Headers:
    """Return the headers with the version, unless the configuration names one."""
    if any(name == _HEADER for name, _ in headers):
        return headers
    return (*headers, (_HEADER, _VERSION))


def with_passed(headers: Headers, passed: Headers) -> Headers:
    """Return the headers with a client's own: its flags join those configured, its version yields to them."""
    if not passed:
        return headers
    configured = {name for name, _ in headers}
    flags = [value for name, value in (*headers, *passed) if name == _BETA]
    kept = [(name, value) for name, value in headers if name != _BETA]
    versions = [(name, value) for name, value in passed if name == _HEADER]
    if versions and _HEADER not in configured:
        kept.append(versions[0])
    return [*kept, (_BETA, b",".join(flags))] if flags else kept
