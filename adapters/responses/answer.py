"""A whole answer, written as a `response`.

Words that follow each other are contents of one message, because clients take the last message for the final
answer. The last item shares the fate of the whole: where the cap cut the answer, it is incomplete.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import Call, Target
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.responses.output import (
    Json,
    call_item,
    content,
    item_id,
    kind_of_call,
    message_item,
    reasoning_item,
)
from adapters.responses.response import ended, final_status, response_fields
from adapters.responses.tools import Offer, read_tools

_encode: Final = msgspec.json.encode


def write_answer(call: Call, target: Target, answer: WholeAnswer) -> bytes:
    """Return the JSON of a response: the first choice, for there is only one."""
    choice = answer.choices[0] if answer.choices else Choice(parts=(), stop="stop")
    output = _output(choice.parts, read_tools(call.fields), call.request_id)
    if output:
        output[-1]["status"] = final_status(choice.stop)
    fields = response_fields(call, target, created=answer.created)
    return _encode(ended(fields, output, choice.stop, answer.usage))


def _output(parts: Sequence[Part], offer: Offer, request_id: str) -> list[Json]:
    items: list[Json] = []
    contents: list[Json] | None = None  # of the message that is being written
    for part in parts:
        index = len(items)
        match part:
            case Text() | Refusal():
                if not part.text:
                    continue
                if contents is None:
                    contents = []
                    name = item_id("message", request_id, index)
                    items.append(message_item(name, (), "completed") | {"content": contents})
                contents.append(content(part))
                continue
            case ToolCall():
                name = item_id(kind_of_call(part.name, offer), request_id, index)
                items.append(call_item(name, part, offer, "completed"))
            case Reasoning() if part.text or part.signature or part.redacted is not None:
                name = item_id("reasoning", request_id, index)
                items.append(reasoning_item(name, part, "completed"))
            case _:
                continue
        contents = None
    return items
