"""Rows of what providers say, and of what goes to and fro: reasoning that its provider wants back."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from adapters.dialect import FaceName
from tests.features.asking import TOOLS
from tests.features.clients import FACES, answer_of, call_of, request_of
from tests.features.columns import Column
from tests.features.outcomes import ABSENT, DROPPED, NOTHING, Outcome, Said, holds
from tests.features.rows import Telling, outcome_of
from tests.features.scenes import REASONED, SIGNATURE, ModelsCall, Scene

Fields = dict[str, Any]

_ROME: Final = ModelsCall("callabc01", "get_weather", {"city": "Rome"})
_OSLO: Final = ModelsCall("callabc02", "get_weather", {"city": "Oslo"})
_NOW: Final = ModelsCall("callabc03", "get_time", {})

TELLINGS: Final = (
    Telling(
        "text", "Text", Scene(text="Good day."), {"text": "Good day.", "calls": [], "stop": "stop"}
    ),
    Telling(
        "call",
        "A call, its arguments in fragments",
        Scene(calls=(_ROME,), stop="tool_calls"),
        {"calls": [("get_weather", {"city": "Rome"})], "stop": "tool_calls", "text": ""},
        asked=TOOLS,
    ),
    Telling(
        "parallel-calls",
        "Several calls at once, behind text",
        Scene(text="Two.", calls=(_ROME, _OSLO), stop="tool_calls"),
        {
            "text": "Two.",
            "calls": [("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo"})],
            "stop": "tool_calls",
        },
        asked=TOOLS,
    ),
    Telling(
        "call-without-arguments",
        "A call without arguments, `{}` to the client",
        Scene(calls=(_NOW,), stop="tool_calls"),
        {"calls": [("get_time", {})], "stop": "tool_calls"},
        asked=TOOLS,
    ),
    Telling(
        "thoughts",
        "Reasoning, apart from the answer",
        Scene(thought="Hm, well.", text="Good day."),
        {"thought": "Hm, well.", "text": "Good day.", "stop": "stop"},
    ),
    Telling(
        "stop-length",
        "Stop reason: the cap was reached",
        Scene(text="Good", stop="length"),
        {"text": "Good", "stop": "length"},
    ),
    Telling(
        "stop-filter",
        "Stop reason: the provider's filter",
        Scene(text="Good", stop="content_filter"),
        {"text": "Good", "stop": "content_filter"},
    ),
    Telling(
        "cached-tokens",
        "Usage, with what was read from a cache",
        Scene(text="Good day."),
        {"asked": 20, "answered": 9, "cached": 4},
    ),
    Telling(
        "reasoning-tokens",
        "Usage: what was spent on reasoning",
        Scene(thought="Hm.", text="Good day."),
        {"reasoning": REASONED},
        nothing=("bedrock", "cohere"),
        unheard={"reasoning": 0},
        faces=("chat", "responses"),
    ),
)


def _keeping_all(message: Fields) -> Fields:
    return message


def _keeping_the_book(message: Fields) -> Fields:
    """What a client sends back that knows OpenAI's book and nothing else."""
    return {name: message[name] for name in ("role", "content", "tool_calls")}


class SignedThought(msgspec.Struct, frozen=True):
    """Reasoning with a call, which the provider has signed and wants back with the call's result.

    `knows_all`: the client keeps fields that OpenAI's book does not have.
    """

    slug: str
    title: str
    found: Mapping[str, Outcome]
    faces: Iterable[FaceName] = FACES
    knows_all: bool = True

    def outcome(self, face: FaceName, column: Column) -> Outcome:
        return outcome_of(self.found, face, column)

    def prove(self, face: FaceName, column: Column) -> None:
        scene = Scene(thought="Hm.", calls=(_ROME,), stop="tool_calls")
        asked = call_of(face, TOOLS[face], _THINKING[face])
        answer = answer_of(column, asked, scene.written(column.form, streamed=False))
        again = call_of(face, TOOLS[face], _THINKING[face], self._history(face, answer))
        body = request_of(column, again)
        match self.outcome(face, column):
            case Said(words):
                assert holds(body, words), body
            case other:
                assert other in {DROPPED, NOTHING}
                assert SIGNATURE not in str(body)
                assert other is NOTHING or holds(body, _WITHOUT_THINKING)

    def _history(self, face: FaceName, answer: Fields) -> Fields:
        """The conversation so far and the call's result, as a client of the face writes them."""
        hello = {"role": "user", "content": "Hi"}
        if face == "chat":
            kept = _keeping_all if self.knows_all else _keeping_the_book
            said = kept(answer["choices"][0]["message"])
            [call] = said["tool_calls"]
            result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
            return {"messages": [hello, said, result]}
        if face == "responses":
            call = answer["output"][-1]
            output = {"call_id": call["call_id"], "output": "sunny"}
            result = {"type": "function_call_output", **output}
            return {"input": [hello, *answer["output"], result]}
        call = answer["content"][-1]
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}
        said = {"role": "assistant", "content": answer["content"]}
        return {"messages": [hello, said, {"role": "user", "content": [result]}]}


_THINKING: Final[Mapping[FaceName, Fields]] = {
    "chat": {"reasoning_effort": "low"},
    "responses": {"reasoning": {"effort": "low"}},
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 1500}},
}
# Anthropic's refuse to go on thinking where thoughts are lost, so this turn goes without.
_WITHOUT_THINKING: Final = {"thinking": ABSENT, "additionalModelRequestFields": ABSENT}


def _assistant(*content: Fields) -> Said:
    return Said({"messages": [{"role": "assistant", "content": list(content)}]})


_ANTHROPICS: Final = _assistant(
    {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}, {"type": "tool_use"}
)
_BEDROCKS: Final = _assistant(
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": SIGNATURE}}}
)
_GEMINIS: Final = Said(
    {
        "contents": [
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "get_weather"}, "thoughtSignature": SIGNATURE}],
            }
        ]
    }
)

SIGNED: Final = (
    SignedThought(
        "signed-thoughts",
        "Signed reasoning goes back to who signed it",
        found={
            "openai": NOTHING,
            "anthropic": _ANTHROPICS,
            "gemini": _GEMINIS,
            "bedrock": _BEDROCKS,
            "cohere": NOTHING,
        },
    ),
    SignedThought(
        "signed-thoughts-by-the-book",
        "The same with a client that keeps no field but OpenAI's",
        faces=("chat",),
        knows_all=False,
        found={
            "openai": NOTHING,
            "anthropic": DROPPED,
            "gemini": _GEMINIS,
            "bedrock": DROPPED,
            "cohere": NOTHING,
        },
    ),
)
