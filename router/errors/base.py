"""The root of the tree: what every error knows of itself, and how it is told."""

import math
from typing import ClassVar

import msgspec

Headers = list[tuple[bytes, bytes]]


class ErrorBody(msgspec.Struct, frozen=True):
    """The inside of OpenAI's error object."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class GatewayError(Exception):
    """The root of the tree. `retry_after`, in seconds, becomes the Retry-After headers.

    `told_retry_after` is what a provider named, `None` where it named nothing and a default stands in.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = "internal_error"
    another_attempt: ClassVar[bool] = False

    def __init__(
        self, message: str, *, param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.told_retry_after = retry_after

    def render(self) -> tuple[int, Headers, bytes]:
        """Return status, headers and JSON body of the answer."""
        body = msgspec.json.encode({"error": self.to_body()})
        return self.status, [(b"content-type", b"application/json"), *self._retry_headers()], body

    def to_body(self) -> ErrorBody:
        """Return the inside of the error object."""
        return ErrorBody(self.message, self.type, self.param, self.code)

    def _retry_headers(self) -> Headers:
        if self.retry_after is None:
            return []
        milliseconds = max(1, math.ceil(self.retry_after * 1000))
        seconds = max(1, math.ceil(self.retry_after))
        return [
            (b"retry-after", str(seconds).encode()),
            (b"retry-after-ms", str(milliseconds).encode()),
        ]
