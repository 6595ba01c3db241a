"""What the simulated Bedrock answers, as AWS's own client reads it: whole, streamed, and in errors."""

import json
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest

from router.simulator import Behaviour, Profile, Simulator, expected_text
from tests.unit.simulator_bedrock import HELLO, MODEL, client, simulated
from tests.unit.simulator_dialects import ask

TOOL = {
    "toolSpec": {
        "name": "get_weather",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}
BARE = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
BODIES: dict[str, dict[str, Any]] = {
    "text": {},
    "a tool": {"toolConfig": {"tools": [TOOL]}},
    "two tools, one without arguments": {
        "messages": [{"role": "user", "content": [{"text": "get weather, look"}]}],
        "toolConfig": {"tools": [TOOL, BARE]},
    },
    "a demanded tool": {"toolConfig": {"tools": [TOOL, BARE], "toolChoice": {"any": {}}}},
    "few tokens": {"inferenceConfig": {"maxTokens": 3}},
    "a stop": {
        "inferenceConfig": {"stopSequences": ["provider"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    },
    "a thought": {
        "additionalModelRequestFields": BUDGET,
        "inferenceConfig": {"maxTokens": 2000},
    },
    "a cut thought": {
        "additionalModelRequestFields": BUDGET,
        "inferenceConfig": {"maxTokens": 1025},
    },
    "a form": {
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object","properties":{"a":{}}}'}},
            }
        }
    },
}


def assembled(stream: Any) -> dict[str, Any]:
    """The answer that a stream adds up to."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    closed: set[int] = set()
    for event in stream:
        [(name, told)] = event.items()
        index = told.get("contentBlockIndex")
        match name:
            case "messageStart":
                answer["role"] = told["role"]
            case "contentBlockStart":
                blocks[index] = {"toolUse": {**told["start"]["toolUse"], "input": ""}}
            case "contentBlockDelta":
                assert index not in closed
                grow(blocks.setdefault(index, {}), told["delta"])
            case "contentBlockStop":
                closed.add(index)
            case "messageStop":
                answer |= told
            case "metadata":
                answer["usage"] = told["usage"]
    assert closed == set(blocks)
    answer["content"] = [blocks[index] for index in sorted(blocks)]
    return answer


def grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, piece in delta.items():
        if isinstance(piece, dict):
            grow(block.setdefault(name, {}), piece)
        else:
            block[name] = block.get(name, "") + piece


def flattened(block: dict[str, Any]) -> dict[str, Any]:
    """A whole block in the form in which pieces add up to one."""
    if "reasoningContent" in block:
        return {"reasoningContent": block["reasoningContent"]["reasoningText"]}
    return block


def with_input(block: dict[str, Any]) -> dict[str, Any]:
    if "toolUse" not in block:
        return block
    use = block["toolUse"]
    return {"toolUse": {**use, "input": json.loads(use["input"] or "{}")}}


@pytest.mark.parametrize("name", BODIES)
def test_a_stream_adds_up_to_the_whole_answer(name: str) -> None:
    body = {"modelId": MODEL, "messages": HELLO, **BODIES[name]}
    aws = client(simulated())
    whole = aws.converse(**body)
    streamed = assembled(aws.converse_stream(**body)["stream"])
    message = whole["output"]["message"]
    assert streamed["role"] == message["role"] == "assistant"
    assert [with_input(block) for block in streamed["content"]] == [
        flattened(block) for block in message["content"]
    ]
    for field in ("stopReason", "usage", "additionalModelResponseFields"):
        assert streamed.get(field) == whole.get(field), field


def test_the_answer_is_that_of_every_dialect() -> None:
    whole = client(simulated()).converse(modelId=MODEL, messages=HELLO)
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert whole["output"]["message"]["content"] == [{"text": expected_text(asked)}]
    assert whole["stopReason"] == "end_turn"
    assert whole["ResponseMetadata"]["RequestId"].startswith("req_")


def test_reasons_and_stops_are_told() -> None:
    aws = client(simulated())

    def told(name: str) -> Any:
        return aws.converse(modelId=MODEL, messages=HELLO, **BODIES[name])

    assert told("few tokens")["stopReason"] == "max_tokens"
    assert told("a tool")["stopReason"] == "tool_use"
    stopped = told("a stop")
    assert stopped["stopReason"] == "stop_sequence"
    assert stopped["additionalModelResponseFields"] == {"stop_sequence": "provider"}


def test_what_was_read_from_the_cache_is_no_part_of_the_input() -> None:
    simulator = simulated()
    simulator.plan(Behaviour(cached_tokens=4), Behaviour())
    aws = client(simulator)
    cached, plain = (aws.converse(modelId=MODEL, messages=HELLO)["usage"] for _ in range(2))
    assert cached["cacheReadInputTokens"] == 4
    assert cached["inputTokens"] == plain["inputTokens"] - 4
    assert cached["totalTokens"] == plain["totalTokens"]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (529, "ServiceUnavailableException"),
    ],
)
def test_ordered_errors_are_exceptions_of_the_client(status: int, name: str) -> None:
    simulator = simulated()
    simulator.plan(Behaviour(status=status, error={"message": "as told"}))
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(simulator).converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == name
    assert caught.value.response["Error"]["Message"] == "as told"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_an_ordered_error_may_have_a_name_of_its_own() -> None:
    simulator = simulated()
    error = {"__type": "ServiceQuotaExceededException", "message": "too many"}
    simulator.plan(Behaviour(status=400, error=error))
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(simulator).converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"] == {
        "Code": "ServiceQuotaExceededException",
        "Message": "too many",
    }


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "validationException"),
        (424, "modelStreamErrorException"),
        (429, "throttlingException"),
        (500, "internalServerException"),
        (503, "serviceUnavailableException"),
    ],
)
def test_an_error_in_a_stream_is_an_exception_of_the_client(status: int, name: str) -> None:
    simulator = simulated()
    simulator.plan(Behaviour(error_event_after=3, error_event_status=status))
    said = []
    with pytest.raises(botocore.exceptions.EventStreamError) as caught:
        said.extend(client(simulator).converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    assert caught.value.response["Error"]["Code"] == name
    assert sum("contentBlockDelta" in event for event in said) == 3


@pytest.mark.parametrize("behaviour", [Behaviour(crlf=True), Behaviour(coalesce=7)])
def test_headers_of_every_type_and_shared_writes_change_nothing(behaviour: Behaviour) -> None:
    simulator = simulated()
    plain = list(client(simulator).converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    simulator.plan(behaviour)
    odd = list(client(simulator).converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    assert odd == plain


@pytest.mark.parametrize("secret", ["another", ""])
def test_a_signature_by_another_secret_is_refused(secret: str) -> None:
    aws = client(simulated(), secret=secret or "x")
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        aws.converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_a_key_without_its_token_is_refused() -> None:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(simulated(), token=None).converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_models_that_are_named_by_an_arn_are_signed_and_known() -> None:
    model = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
    whole = client(simulated()).converse(modelId=model, messages=HELLO)
    assert model in whole["output"]["message"]["content"][0]["text"]


SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AKID/20270115/eu-west-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    "x-amz-date": "20270115T080000Z",
    "host": "bedrock-runtime.eu-west-1.amazonaws.com",
}
BODY = {"messages": HELLO}
PATH = "/model/m/converse"


@pytest.mark.parametrize(
    ("changes", "status", "name"),
    [
        ({"authorization": ""}, 403, "MissingAuthenticationTokenException"),
        ({"authorization": "Basic x"}, 400, "IncompleteSignatureException"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKID"}, 400, "IncompleteSignature"),
        ({"x-amz-date": "yesterday"}, 400, "IncompleteSignatureException"),
        ({"x-amz-date": "20270116T080000Z"}, 400, "IncompleteSignatureException"),
        ({"host": "bedrock-runtime.us-east-1.amazonaws.com"}, 400, "IncompleteSignature"),
        ({"x-amz-security-token": "uncovered"}, 400, "IncompleteSignatureException"),
        ({"authorization": "Bearer another"}, 403, "AccessDeniedException"),
        ({}, 403, "UnrecognizedClientException"),
    ],
)
def test_a_proof_of_the_wrong_form_is_refused(
    changes: dict[str, str], status: int, name: str
) -> None:
    said = ask(PATH, BODY, headers={**SIGNED, **changes}, simulator=simulated())
    assert said.status == status
    assert said.headers["x-amzn-errortype"].startswith(name)
    assert said.json()["message"]


def test_a_bearer_token_is_a_proof_too_and_without_keys_the_form_is_enough() -> None:
    bearer = {"authorization": "Bearer bearer-of-ours"}
    assert ask(PATH, BODY, headers=bearer, simulator=simulated()).status == 200
    assert ask(PATH, BODY, headers=SIGNED, simulator=Simulator()).status == 200
    assert ask(PATH, BODY, headers={"authorization": "Bearer any"}).status == 200


def test_another_method_or_model_is_refused() -> None:
    bearer = {"authorization": "Bearer k"}
    assert ask(PATH, BODY, headers=bearer, method="GET").status == 404
    known = Simulator(Profile(models=("known",)))
    refused = ask(PATH, BODY, headers=bearer, simulator=known)
    assert (refused.status, refused.json()["message"]) == (
        400,
        "The provided model identifier is invalid.",
    )
