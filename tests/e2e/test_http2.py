"""HTTP/2 with the clients that people have: the SDK told to use it, and curl, over TLS and a real process."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from router.simulator import Simulator
from tests.e2e.curl import run_curl
from tests.e2e.gateway import MODEL, TLS, Gateway, running_gateway
from tests.e2e.process import wait_until

USER: Any = [{"role": "user", "content": "Hello"}]
SETTINGS = {
    "tls_certificate": str(TLS / "server.pem"),
    "tls_key": str(TLS / "server-key.pem"),
    "drain_seconds": 20.0,
}
SLOW = {"ttft": 0, "gap": 0.02, "tokens": 100_000}
STREAM_ERROR = 92  # of curl: a stream of HTTP/2 was not closed cleanly


@pytest.fixture(scope="module")
def shared_gateway(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("http2")
    with running_gateway(folder, provider, provider_port, SETTINGS) as running:
        yield running


@pytest.fixture
def tls_gateway(shared_gateway: Gateway) -> Iterator[Gateway]:
    yield shared_gateway
    shared_gateway.leak_check()


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "ca.pem")


@contextmanager
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with (
        openai.DefaultHttpxClient(http2=True, http1=False, verify=trusting()) as http,
        openai.OpenAI(
            base_url=gateway.base_url, api_key=gateway.key, http_client=http, max_retries=0
        ) as client,
    ):
        yield client


def async_sdk(gateway: Gateway) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(http2=True, http1=False, verify=trusting())
    return openai.AsyncOpenAI(
        base_url=gateway.base_url, api_key=gateway.key, http_client=http, max_retries=0
    )


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def tokens_of(client: openai.AsyncOpenAI, **simulate: Any) -> int:
    """Ask for a stream and return how many tokens came, all of them being there."""
    stream = await client.chat.completions.create(
        model=MODEL, messages=USER, stream=True, extra_body={"simulate": simulate}
    )
    choices = [chunk.choices[0] async for chunk in stream if chunk.choices]
    assert choices[-1].finish_reason == "stop"
    return sum(bool(choice.delta.content) for choice in choices)


def test_the_sdk_gets_whole_answers_streams_and_errors(tls_gateway: Gateway) -> None:
    with sdk(tls_gateway) as client:
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=USER)
        assert raw.http_response.http_version == "HTTP/2"
        assert raw.parse().choices[0].finish_reason == "stop"
        assert raw.headers["x-request-id"].startswith("req_")
        stream = client.chat.completions.create(model=MODEL, messages=USER, stream=True)
        chunks = list(stream)
        assert text_of(chunks) == raw.parse().choices[0].message.content
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model="openai/none", messages=USER)
        assert refused.value.code == "model_not_found"
        assert refused.value.request_id is not None


def test_many_calls_share_one_connection(tls_gateway: Gateway, provider: Simulator) -> None:
    async def main() -> list[int]:
        async with async_sdk(tls_gateway) as client:
            await tokens_of(client, tokens=1)
            before = tls_gateway.process.open_sockets()
            tokens = await asyncio.gather(
                *[tokens_of(client, tokens=number, gap=0.01) for number in range(1, 41)]
            )
            # Upstream connections come and go; of this client there is one.
            idle = tls_gateway.metrics()['syze_upstream_connections{state="idle"}']
            assert tls_gateway.process.open_sockets() - before <= idle
            return tokens

    assert asyncio.run(main()) == list(range(1, 41))


def test_i5_the_sdk_raises_on_a_stream_that_was_cut(tls_gateway: Gateway) -> None:
    model = tls_gateway.untouched_model()
    with sdk(tls_gateway) as client:
        stream = client.chat.completions.create(
            model=model,
            messages=USER,
            stream=True,
            extra_body={"simulate": {"tokens": 20, "cut_after": 7}},
        )
        with pytest.raises(openai.APIError) as cut:
            list(stream)
        assert cut.value.code == "upstream_stream_broken"
        # The connection is as good as before.
        whole = client.chat.completions.create(model=MODEL, messages=USER)
        assert whole.choices[0].finish_reason == "stop"


def test_i7_an_sdk_that_closes_takes_its_upstream_call_with_it(
    tls_gateway: Gateway, provider: Simulator
) -> None:
    aborted = provider.aborted
    with sdk(tls_gateway) as client:
        stream = client.chat.completions.create(
            model=MODEL, messages=USER, stream=True, extra_body={"simulate": SLOW}
        )
        next(iter(stream))
        assert provider.open_exchanges == 1
    wait_until("the provider sees its client leave", lambda: provider.open_exchanges == 0)
    assert provider.aborted == aborted + 1
    assert tls_gateway.process.log("request")[-1]["outcome"] == "client_gone"


def curl(gateway: Gateway, *arguments: str, **fields: Any) -> Any:
    return run_curl(
        "-N",
        "--http2",
        "--cacert",
        str(TLS / "ca.pem"),
        gateway.base_url + "/chat/completions",
        "-H",
        f"Authorization: Bearer {gateway.key}",
        *arguments,
        "--data-binary",
        "@-",
        body=msgspec.json.encode({"model": MODEL, "messages": USER, **fields}),
    )


def test_curl_is_served_over_http2(tls_gateway: Gateway) -> None:
    done = curl(tls_gateway, "-w", "\n%{http_version} %{http_code}", stream=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"data: [DONE]\n\n\n2 200")


def test_curl_is_served_over_http1_where_it_asks_for_that(tls_gateway: Gateway) -> None:
    done = curl(tls_gateway, "--http1.1", "-w", "\n%{http_version} %{http_code}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\n1.1 200")


def test_curl_sends_a_body_of_several_windows(tls_gateway: Gateway) -> None:
    padding = "x" * 3_000_000
    done = curl(tls_gateway, "-w", "\n%{http_version} %{http_code}", padding=padding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\n2 200")


def test_i5_curl_fails_on_a_stream_that_was_cut(tls_gateway: Gateway) -> None:
    model = tls_gateway.untouched_model()
    simulate = {"tokens": 20, "cut_after": 7}
    done = curl(tls_gateway, model=model, stream=True, simulate=simulate)
    assert done.returncode == STREAM_ERROR, done.stderr
    assert done.stdout.count(b"data: ") > 7
    assert b"[DONE]" not in done.stdout


def test_i10_streams_of_the_sdk_are_whole_although_the_gateway_is_told_to_end(
    provider: Simulator, provider_port: int, tmp_path: Path
) -> None:
    async def main(gateway: Gateway) -> list[int]:
        async def end() -> None:
            await asyncio.to_thread(
                wait_until, "all are at the provider", lambda: provider.open_exchanges == 3
            )
            gateway.process.terminate()

        async with async_sdk(gateway) as client:
            ending = asyncio.create_task(end())
            tokens = await asyncio.gather(
                *[tokens_of(client, tokens=count, gap=0.05, ttft=0.2) for count in (10, 20, 30)]
            )
            await ending
            return tokens

    with running_gateway(tmp_path, provider, provider_port, SETTINGS) as gateway:
        assert asyncio.run(main(gateway)) == [10, 20, 30]
        assert gateway.process.wait() == 0
        assert {line["outcome"] for line in gateway.process.log("request")} == {"ok"}
