"""AWS's own client at the simulated Bedrock, without a socket: requests out of it, answers into it.

What it sends is signed by its signer and what it gets is read by its parsers, so neither side of the wire is
of our making alone.
"""

from typing import Any

import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]

from router.simulator import SeenRequest, Simulator

KEY_ID, SECRET, TOKEN = "AKIDSIMULATED0000001", "a-secret-of-ours", "a-token-of-ours"
MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Hello"}]}]


class Raw:
    """A body as botocore wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, *_: Any, **__: Any) -> bytes:
        body, self._body = self._body, b""
        return body

    def stream(self, *_: Any, **__: Any) -> Any:
        half = len(self._body) // 2
        yield self._body[:half]
        yield self._body[half:]

    def close(self) -> None:
        pass


def client(simulator: Simulator, *, secret: str = SECRET, token: str | None = TOKEN) -> Any:
    """A client whose requests are answered by a simulator, at once and in memory."""
    made = botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name="eu-west-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )

    def answer(request: Any, **_: Any) -> Any:
        performance = simulator.answer(_seen(request))
        assert performance.head is not None
        headers = {n.decode(): v.decode() for n, v in performance.head.headers}
        body = b"".join(data for _, data, _ in performance.steps)
        status = performance.head.status
        return botocore.awsrequest.AWSResponse(request.url, status, headers, Raw(body))

    made.meta.events.register("before-send.bedrock-runtime", answer)
    return made


def _seen(request: Any) -> SeenRequest:
    host, _, path = request.url.removeprefix("https://").partition("/")
    headers = [(b"host", host.encode())]
    for name, value in request.headers.items():
        said = value if isinstance(value, bytes) else str(value).encode()
        headers.append((name.lower().encode(), said))
    body = request.body if isinstance(request.body, bytes) else bytes(request.body or b"")
    return SeenRequest(request.method.encode(), f"/{path}".encode(), headers, body)


def simulated() -> Simulator:
    """A provider that knows one access key, and one bearer token."""
    return Simulator(required_keys=[f"{KEY_ID}:{SECRET}:{TOKEN}", "bearer-of-ours"])
