"""Agents of many libraries run a loop of tools with vision through every dialect, streamed and not."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

from router.simulator import Simulator
from tests.e2e.agents import ARGUMENTS, RESULT, Agent, LangChain, NodeAgent, OpenAIChat, Pydantic
from tests.e2e.dialect_gateway import dialect_gateway
from tests.e2e.gateway import Gateway
from tests.simulated.dialect_world import MODELS, PNG

PYTHON: dict[str, Callable[[str, str], Agent]] = {
    "openai": OpenAIChat,
    "pydantic-ai": lambda url, key: Pydantic(url, key, OpenAIChatModel),
    "pydantic-ai-responses": lambda url, key: Pydantic(url, key, OpenAIResponsesModel),
    "langchain": lambda url, key: LangChain(url, key, responses=False),
    "langchain-responses": lambda url, key: LangChain(url, key, responses=True),
}
NODE = ("openai-chat", "openai-responses", "ai-sdk-compatible", "ai-sdk-responses")
AGENTS = [*PYTHON, *(f"node-{name}" for name in NODE)]
# Those in which the most is lost when something is lost; `test_dialects` has a loop over each of the others.
DIALECTS = ("anthropic", "gemini", "bedrock")
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def running(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("agents")
    with dialect_gateway(folder, provider, provider_port) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def nothing_left(running: Gateway) -> Iterator[None]:
    yield
    running.leak_check()


@pytest.fixture(params=AGENTS)
def agent(running: Gateway, request: pytest.FixtureRequest) -> Agent:
    """Each of the agents in turn."""
    name: str = request.param
    if name in PYTHON:
        return PYTHON[name](running.base_url, running.key)
    driver = request.getfixturevalue("node_driver")
    return NodeAgent(driver, running.base_url, running.key, name=name.removeprefix("node-"))


@pytest.mark.parametrize("name", DIALECTS)
@STREAMED
def test_an_agent_sees_calls_a_tool_and_answers_from_its_result(
    running: Gateway, agent: Agent, name: str, streamed: bool
) -> None:
    running.provider.requests.clear()
    told = agent.run(f"{name}/{MODELS[name]}", streamed=streamed)
    assert told.calls == [ARGUMENTS]
    assert RESULT in told.text
    first, second = running.provider.requests
    for request in (first, second):
        assert f"/{name}/".encode() in request.target
        assert PNG.encode() in request.body
    assert RESULT.encode() not in first.body
    assert len(_messages(second.json())) == len(_messages(first.json())) + 2


def _messages(body: dict[str, object]) -> list[object]:
    """What has been said so far, in whichever words."""
    found = body.get("messages") or body["contents"]
    return msgspec.convert(found, list[object])
