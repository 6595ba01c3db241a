"""What is asked of a server, and what a right answer to it says.

Every request differs by its number, so that an answer which reached the wrong client cannot pass
for the right one. The simulated provider takes its orders (length and pace) from a field of the
request, and its text is a pure function of the request: what must come back is computed here before
anything is sent. The server under test only needs to pass an unknown field through, as it promises.
"""

from typing import Any, Final

import msgspec

from router.loadtest.target import Target
from router.simulator.choices import expected_tokens

MODEL: Final = "bench-model"
"""The model's name at the provider."""


class Work(msgspec.Struct, frozen=True):
    """One request and its right answer.

    `text` is what the answer says, in `tokens` pieces where it is streamed; `wants_usage` whether
    a stream was asked to end with its usage.
    """

    request: bytes
    text: str
    tokens: int
    wants_usage: bool = False


def whole_work(target: Target, number: int, *, tokens: int) -> Work:
    """A request for an answer in one piece, ready at once."""
    fields = _fields(number, tokens=tokens, gap=0.0)
    return Work(target.request(fields), "".join(expected_tokens(fields)), tokens)


def stream_work(target: Target, number: int, *, tokens: int, gap: float) -> Work:
    """A request for a stream of `tokens` tokens, one each `gap` seconds.

    Every other one asks for usage, so that both forms of a stream's end are seen.
    """
    fields = _fields(number, tokens=tokens, gap=gap)
    wants_usage = number % 2 == 1
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    request = target.request({**fields, "stream": True, **options})
    return Work(request, "".join(expected_tokens(fields)), tokens, wants_usage)


def unordered_work(target: Target, number: int, *, tokens: int) -> Work:
    """A request for a stream that orders nothing: the provider has its own pace, and this length."""
    fields = _question(number)
    text = "".join(expected_tokens(fields, tokens=tokens))
    return Work(target.request({**fields, "stream": True}), text, tokens)


def _fields(number: int, *, tokens: int, gap: float) -> dict[str, Any]:
    return {**_question(number), "simulate": {"ttft": 0.0, "gap": gap, "tokens": tokens}}


def _question(number: int) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. Answer in plain words."},
            {
                "role": "user",
                "content": f"Question {number}: which trees grow by the river, and why there?",
            },
        ],
        "temperature": 0.7,
    }
