"""Whole answers of Cohere, put together from what their reading tells."""

from adapters.cohere.reading import told
from adapters.cohere.wire import decode_response
from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.middle.answer import WholeAnswer
from adapters.middle.assembly import assembled
from adapters.middle.conversation import Conversation
from adapters.openai.foreign import UNREADABLE, check_utf8


def decode_answer(conversation: Conversation, body: bytes) -> WholeAnswer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none."""
    try:
        check_utf8(body)
        response = decode_response(body)
    except UNREADABLE as error:
        message = f"The provider's answer cannot be read: {error}"
        raise BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message)) from None
    return assembled(told(conversation, response))
