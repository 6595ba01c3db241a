"""Embeddings, legacy completions and the list of models, as the official SDKs see them."""

import base64
from array import array
from typing import Any
from urllib.parse import quote

import pytest

from router.simulator import Simulator, expected_text
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Wire
from tests.e2e.sdk import Sdk

EMBED = "embeddings.create"
COMPLETE = "completions.create"
SMALL = "text-embedding-3-small"
COMPLETING = "openai/gpt-4o-mini"
AS_FLOATS = {"simulate": {"embeddings_as_floats": True}}


@pytest.mark.parametrize("extra", [{}, AS_FLOATS], ids=["base64 upstream", "floats upstream"])
def test_the_sdks_default_gets_the_same_vector_whatever_the_upstream_sends(
    sdk: Sdk, provider: Simulator, extra: dict[str, Any]
) -> None:
    asked = sdk.call(EMBED, {"model": SMALL, "input": ["Hello world", "天気"]}, extra=extra)
    assert asked.failure is None
    assert provider.requests[-1].json()["encoding_format"] == "base64"
    as_numbers = sdk.call(
        EMBED, {"model": SMALL, "input": ["Hello world", "天気"], "encoding_format": "float"}
    )
    assert vectors(asked.value) == vectors(as_numbers.value)
    assert [len(vector) for vector in vectors(asked.value)] == [1536, 1536]


def vectors(answer: dict[str, Any]) -> list[list[float]]:
    """The vectors as 32 bit floats, the precision in which they were sent."""
    return [array("f", one["embedding"]).tolist() for one in answer["data"]]


def test_base64_goes_over_the_wire_when_asked_for_even_if_the_upstream_sends_floats(
    gateway: Gateway,
) -> None:
    body = b'{"model":"%b","input":"Hi","encoding_format":"base64",%b}' % (
        SMALL.encode(),
        b'"simulate":{"embeddings_as_floats":true}',
    )
    with Wire(gateway) as wire:
        answer = wire.post("/v1/embeddings", body)
    embedding = answer.json()["data"][0]["embedding"]
    assert len(base64.b64decode(embedding, validate=True)) == 4 * 1536


def test_a_request_in_the_old_style_gets_numbers(gateway: Gateway, provider: Simulator) -> None:
    with Wire(gateway) as wire:
        answer = wire.post("/v1/embeddings", b'{"model":"%b","input":"Hi"}' % SMALL.encode())
    assert "encoding_format" not in provider.requests[-1].json()
    embedding = answer.json()["data"][0]["embedding"]
    assert len(embedding) == 1536
    assert all(isinstance(number, float) for number in embedding)


def test_dimensions_and_unknown_fields_of_embeddings_pass_through(
    sdk: Sdk, provider: Simulator
) -> None:
    fields = {"model": SMALL, "input": [[1, 2, 3]], "dimensions": 64, "user": "someone"}
    answer = sdk.call(EMBED, fields, extra={"input_type": "query"})
    assert len(answer.value["data"][0]["embedding"]) == 64
    assert answer.value["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    received = provider.requests[-1].json()
    assert received == {**fields, "input_type": "query", "encoding_format": "base64"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_legacy_completion_passes_through_and_comes_back(
    sdk: Sdk, provider: Simulator, stream: bool
) -> None:
    fields = {
        "model": COMPLETING,
        "prompt": ["Once upon a time", "The end"],
        "max_tokens": 20,
        "temperature": 0.2,
        "stop": ["\n"],
        "n": 2,
        **({"stream": True} if stream else {}),
    }
    answer = sdk.call(COMPLETE, fields, extra={"min_p": 0.05})
    assert answer.failure is None
    received = provider.requests[-1].json()
    parts = answer.chunks if stream else [answer.value]
    texts = ["", "", "", ""]
    for part in parts:
        assert part["model"] == COMPLETING
        for choice in part["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == [expected_text(received, choice=choice) for choice in range(4)]
    if stream:
        assert received.pop("stream_options") == {"include_usage": True}
    assert received == {**fields, "min_p": 0.05, "model": COMPLETING.partition("/")[2]}


def test_the_list_of_models_has_every_provider_that_is_configured(sdk: Sdk) -> None:
    listed = sdk.call("models.list", {}).value["data"]
    ids = [model["id"] for model in listed]
    assert {
        "openai/gpt-4o-mini",
        "anthropic/claude-haiku-4-5-20251001",
        "unreachable/anything",
    } <= set(ids)
    assert len(ids) == len(set(ids))
    assert all(model["object"] == "model" for model in listed)
    assert all(isinstance(model["created"], int) and model["owned_by"] for model in listed)


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5-20251001", SMALL])
def test_a_model_is_found_by_its_id_slashes_included(sdk: Sdk, model: str) -> None:
    answer = sdk.call("models.retrieve", {"model": model})
    assert answer.failure is None
    assert answer.value["object"] == "model"
    assert answer.value["id"].endswith(model)


def test_a_models_id_may_be_percent_encoded_or_not(gateway: Gateway) -> None:
    model = "anthropic/claude-haiku-4-5-20251001"
    with Wire(gateway) as wire:
        plain = wire.get(f"/v1/models/{model}")
        encoded = wire.get(f"/v1/models/{quote(model, safe='')}")
    assert plain.status == encoded.status == 200
    assert plain.json() == encoded.json()
