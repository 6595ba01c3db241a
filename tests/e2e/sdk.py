"""The official SDKs behind one small face, so that one test speaks for all of them.

Each call names a method of the SDK (`chat.completions.create`), its fields, and `extra` fields that
the SDK does not know, sent the way it offers for that. An answer comes back as plain JSON values, an
error as the facts that the SDK tells about it. No SDK retries here: a retry would hide what is tested.
"""

import asyncio
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import openai

TIMEOUT_SECONDS = 30.0

Fields = Mapping[str, Any]


class Failure(NamedTuple):
    """An error as the SDK raises it: the name of its class, and what it says."""

    kind: str
    status: int | None
    message: str
    type: str | None
    code: str | None
    param: str | None
    request_id: str | None


class SdkAnswer(NamedTuple):
    """What came of one call: a whole answer or chunks, and the error that ended it, if one did."""

    value: dict[str, Any]
    chunks: list[dict[str, Any]]
    request_id: str | None
    failure: Failure | None

    def text(self, choice: int = 0) -> str:
        """The text of one choice of a chat completion, whole or streamed."""
        if self.value:
            return str(self.value["choices"][choice]["message"]["content"])
        return "".join(
            one["delta"].get("content") or ""
            for chunk in self.chunks
            for one in chunk.get("choices") or ()
            if one["index"] == choice
        )


class Sdk(Protocol):
    """One SDK, pointed at one gateway."""

    def call(
        self, method: str, fields: Fields, *, extra: Fields | None = None, key: str | None = None
    ) -> SdkAnswer:
        """Make one call to its end. Every error of the SDK's becomes a `Failure`."""


class PythonSdk:
    """The synchronous client of the Python package."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._key = key

    def client(self, key: str | None = None) -> openai.OpenAI:
        """A client as a user makes it."""
        return openai.OpenAI(
            base_url=self._base_url,
            api_key=self._key if key is None else key,
            max_retries=0,
            timeout=TIMEOUT_SECONDS,
        )

    def call(
        self, method: str, fields: Fields, *, extra: Fields | None = None, key: str | None = None
    ) -> SdkAnswer:
        """Make one call to its end."""
        chunks: list[dict[str, Any]] = []
        with self.client(key) as client:
            try:
                answer = attrgetter(method)(client)(**fields, **_more(extra))
                if fields.get("stream"):
                    with answer:
                        chunks.extend(chunk.model_dump(mode="json") for chunk in answer)
                    return SdkAnswer({}, chunks, _stream_id(answer), None)
                return _whole(answer)
            except openai.APIError as error:
                return SdkAnswer({}, chunks, None, failure_of(error))


class AsyncPythonSdk:
    """The asynchronous client of the Python package, on asyncio, where most of its users are."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._key = key

    def client(self, key: str | None = None) -> openai.AsyncOpenAI:
        """A client as a user makes it."""
        return openai.AsyncOpenAI(
            base_url=self._base_url,
            api_key=self._key if key is None else key,
            max_retries=0,
            timeout=TIMEOUT_SECONDS,
        )

    def call(
        self, method: str, fields: Fields, *, extra: Fields | None = None, key: str | None = None
    ) -> SdkAnswer:
        """Make one call to its end."""
        return asyncio.run(self._call(method, fields, extra=extra, key=key))

    async def _call(
        self, method: str, fields: Fields, *, extra: Fields | None, key: str | None
    ) -> SdkAnswer:
        chunks: list[dict[str, Any]] = []
        async with self.client(key) as client:
            try:
                answer = await attrgetter(method)(client)(**fields, **_more(extra))
                if fields.get("stream"):
                    async with answer:
                        # Not a comprehension, which would lose what came before an error.
                        async for chunk in answer:
                            chunks.append(chunk.model_dump(mode="json"))  # noqa: PERF401 - see above
                    return SdkAnswer({}, chunks, _stream_id(answer), None)
                return _whole(answer)
            except openai.APIError as error:
                return SdkAnswer({}, chunks, None, failure_of(error))


def failure_of(error: openai.APIError) -> Failure:
    """What an exception of the Python package says."""
    status = error if isinstance(error, openai.APIStatusError) else None
    return Failure(
        type(error).__name__,
        None if status is None else status.status_code,
        error.message,
        error.type,
        error.code,
        error.param,
        None if status is None else status.request_id,
    )


def _more(extra: Fields | None) -> dict[str, Any]:
    return {"extra_body": dict(extra)} if extra else {}


def _stream_id(stream: Any) -> str | None:
    found: str | None = stream.response.headers.get("x-request-id")
    return found


def _whole(answer: Any) -> SdkAnswer:
    return SdkAnswer(answer.model_dump(mode="json"), [], getattr(answer, "_request_id", None), None)
