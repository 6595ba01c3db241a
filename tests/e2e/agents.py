"""Agents: clients that look at an image, call a tool, and answer from what it returned.

Each is written the way its library's users write one. They all get the same question and the same tool, so
one test speaks for all; what an agent tells in the end is which arguments its tool got, and its last words.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import openai
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import BinaryContent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.e2e.node_sdk import NodeDriver
from tests.simulated.dialect_world import PNG

QUESTION: Final = "Look at this place."
RESULT: Final = "sunny"
ARGUMENTS: Final = {"city": "example"}  # of which the simulated model makes up the value
IMAGE: Final = f"data:image/png;base64,{PNG}"
TOOL: Final[dict[str, Any]] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
MOST_STEPS: Final = 4
TIMEOUT_SECONDS: Final = 30.0


class Told(NamedTuple):
    """What became of a run: the arguments of each call of the tool, and the last words."""

    calls: list[Mapping[str, Any]]
    text: str


class Agent(Protocol):
    """An agent of some library, pointed at one gateway."""

    def run(self, model: str, *, streamed: bool) -> Told:
        """Ask a model the question, and let it have the tool's result."""


class OpenAIChat:
    """A loop over chat completions, as users of the official package write it."""

    def __init__(self, base_url: str, key: str) -> None:
        self._connection: dict[str, Any] = {"base_url": base_url, "api_key": key}

    def run(self, model: str, *, streamed: bool) -> Told:
        look = [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ]
        messages: list[Any] = [{"role": "user", "content": look}]
        calls: list[Mapping[str, Any]] = []
        with openai.OpenAI(**self._connection, max_retries=0, timeout=TIMEOUT_SECONDS) as client:
            for _ in range(MOST_STEPS):
                said = self._ask(client, streamed=streamed, model=model, messages=messages)
                if not said.tool_calls:
                    break
                messages.append(said.model_dump(exclude_none=True))
                for call in said.tool_calls:
                    calls.append(json.loads(call.function.arguments))
                    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
                    messages.append(result)
        return Told(calls, said.content or "")

    def _ask(self, client: openai.OpenAI, *, streamed: bool, **fields: Any) -> Any:
        fields["tools"] = [{"type": "function", "function": TOOL}]
        if not streamed:
            return client.chat.completions.create(**fields).choices[0].message
        with client.chat.completions.stream(**fields) as stream:
            return stream.get_final_completion().choices[0].message


class Pydantic:
    """An agent of pydantic-ai, over one of OpenAI's two interfaces."""

    def __init__(
        self,
        base_url: str,
        key: str,
        interface: type[OpenAIChatModel] | type[OpenAIResponsesModel],
    ) -> None:
        self._connection: dict[str, Any] = {"base_url": base_url, "api_key": key}
        self._interface = interface

    def run(self, model: str, *, streamed: bool) -> Told:
        return asyncio.run(self._run(model, streamed=streamed))

    async def _run(self, model: str, *, streamed: bool) -> Told:
        calls: list[Mapping[str, Any]] = []

        def get_weather(city: str) -> str:
            """Tell the weather of a city."""
            calls.append({"city": city})
            return RESULT

        question: list[str | BinaryContent] = [
            QUESTION,
            BinaryContent(base64.b64decode(PNG), media_type="image/png"),
        ]
        async with openai.AsyncOpenAI(
            **self._connection, max_retries=0, timeout=TIMEOUT_SECONDS
        ) as client:
            interface = self._interface(model, provider=OpenAIProvider(openai_client=client))
            agent = PydanticAgent(interface, tools=[get_weather], retries=0)
            result = await agent.run(question, event_stream_handler=_listen if streamed else None)
        return Told(calls, result.output)


async def _listen(_: RunContext[object], events: AsyncIterable[object]) -> None:
    """Take the events of a stream as they come, which is what makes pydantic-ai ask for one."""
    async for event in events:
        assert event is not None


class LangChain:
    """A loop over langchain's chat model, by one of OpenAI's two interfaces."""

    def __init__(self, base_url: str, key: str, *, responses: bool) -> None:
        self._base_url = base_url
        self._key = key
        self._responses = responses

    def run(self, model: str, *, streamed: bool) -> Told:
        chat = ChatOpenAI(
            model=model,
            base_url=self._base_url,
            api_key=SecretStr(self._key),
            max_retries=0,
            timeout=TIMEOUT_SECONDS,
            use_responses_api=self._responses,
        ).bind_tools([{"type": "function", "function": TOOL}])
        look: list[str | dict[Any, Any]] = [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ]
        messages: list[Any] = [HumanMessage(look)]
        calls: list[Mapping[str, Any]] = []
        for _ in range(MOST_STEPS):
            said = self._ask(chat, messages, streamed=streamed)
            messages.append(said)
            if not said.tool_calls:
                break
            for call in said.tool_calls:
                calls.append(call["args"])
                messages.append(ToolMessage(RESULT, tool_call_id=call["id"]))
        return Told(calls, said.text)

    def _ask(self, chat: Any, messages: list[Any], *, streamed: bool) -> AIMessage:
        if not streamed:
            whole: AIMessage = chat.invoke(messages)
            return whole
        first, *others = chat.stream(messages)
        for chunk in others:
            first += chunk
        joined: AIMessage = first
        return joined


class NodeAgent:
    """One of the agents in `node/agents.mjs`, by its name there."""

    def __init__(self, driver: NodeDriver, base_url: str, key: str, *, name: str) -> None:
        self._driver = driver
        self._connection = {"baseURL": base_url, "apiKey": key}
        self._name = name

    def run(self, model: str, *, streamed: bool) -> Told:
        found = self._driver.ask(
            {
                "agent": self._name,
                "connection": self._connection,
                "model": model,
                "question": QUESTION,
                "image": IMAGE,
                "tool": TOOL,
                "result": RESULT,
                "streamed": streamed,
            }
        )
        assert found["failure"] is None, found["failure"]
        return Told(found["value"]["calls"], found["value"]["text"])
