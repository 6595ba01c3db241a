"""The doors of the data plane: which path is which endpoint, and in whose words it is read and refused.

OpenAI's chat, completions, embeddings and Responses share one form of error, and rankings have it too.
Anthropic's Messages has its own, and its clients name versions and beta features in headers, which go on to
providers of that dialect.
"""

import re
from collections.abc import Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from adapters.anthropic.error_body import error_body
from adapters.anthropic.request import decode_call as decode_messages
from adapters.dialect import Call
from adapters.openai.request import decode_call as decode_openai
from adapters.rerank_bridge import decode_call as decode_rerank
from adapters.responses.call import decode_call as decode_responses
from router.errors import GatewayError
from router.observe.record import Endpoint

Headers = Sequence[tuple[bytes, bytes]]


class Decode(Protocol):
    """Reads a request's body."""

    def __call__(self, body: bytes, /, *, request_id: str, asked_at: int) -> Call:
        """Return the call, which is known by this id, and was made at this unix time. Raises `BadCall`."""


_V1: Final[dict[str, Endpoint]] = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
    "/responses": "responses",
    "/rerank": "rerank",
}
# Users forget the /v1 of the base URL; serving them is kinder than a 404.
DATA_PLANE: Final = MappingProxyType({f"/v1{path}": door for path, door in _V1.items()} | _V1)

_ANTHROPICS: Final = frozenset({"messages", "count_tokens"})
_PASSED: Final = frozenset({b"anthropic-beta", b"anthropic-version"})
_FLAGS: Final = re.compile(rb"[A-Za-z0-9._, -]{1,2000}")


def door_of(path: str) -> Endpoint | None:
    """Return the endpoint at a path, with or without a slash at its end."""
    return DATA_PLANE.get(path.rstrip("/"))


def decoder_of(endpoint: Endpoint, headers: Headers) -> Decode:
    """Return what reads a request's body in the words of its endpoint."""
    if endpoint == "responses":
        return decode_responses
    if endpoint == "messages":
        passed = tuple(
            (name, value) for name, value in headers if name in _PASSED and _FLAGS.fullmatch(value)
        )
        return partial(decode_messages, passed_headers=passed)
    if endpoint == "rerank":
        return decode_rerank
    if endpoint == "count_tokens":
        return _decode_nothing
    return partial(decode_openai, endpoint)


def render(
    error: GatewayError, endpoint: Endpoint | None, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an error in the words of the endpoint, if it has one."""
    status, headers, body = error.render()
    if endpoint in _ANTHROPICS:
        body = error_body(status, error.to_body().message, request_id=request_id)
    return status, headers, body


def _decode_nothing(_body: bytes, /, *, request_id: str, asked_at: int) -> Call:  # noqa: ARG001
    raise ValueError("tokens are counted without a call")


def id_names(endpoint: Endpoint | None) -> tuple[bytes, ...]:
    """Return the headers in which clients of the endpoint look for the request's id."""
    return (b"x-request-id", b"request-id") if endpoint in _ANTHROPICS else (b"x-request-id",)
