"""The version of Anthropic's API that a request names, and the beta features that it asks for.

Clients ask for features by flags that Anthropic knows. Others who imitate its API refuse flags that they do
not know, so an operator may say which ones go on to a provider.
"""

from collections.abc import Collection
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


def with_passed(
    headers: Headers, passed: Headers, *, betas: Collection[bytes] | None = None
) -> Headers:
    """Return the headers with a client's own: its flags join those configured, its version yields to them.

    `betas`: of a client's flags only these go on, `None` for all.
    """
    if not passed:
        return headers
    configured = {name for name, _ in headers}
    flags = [value for name, value in headers if name == _BETA]
    flags += [
        allowed for name, value in passed if name == _BETA and (allowed := _allowed(value, betas))
    ]
    kept = [(name, value) for name, value in headers if name != _BETA]
    versions = [(name, value) for name, value in passed if name == _HEADER]
    if versions and _HEADER not in configured:
        kept.append(versions[0])
    return [*kept, (_BETA, b",".join(flags))] if flags else kept


def _allowed(flags: bytes, betas: Collection[bytes] | None) -> bytes:
    """Return the flags that may go on; in the client's own bytes where all may."""
    if betas is None:
        return flags
    return b",".join([flag for part in flags.split(b",") if (flag := part.strip()) in betas])
