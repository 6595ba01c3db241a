"""Whole answers of Gemini, put together from what their reading tells."""

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.gemini.error import classify_object, error_in
from adapters.gemini.reading import AnswerReading, NewId
from adapters.gemini.wire import decode_response
from adapters.middle.answer import WholeAnswer
from adapters.middle.assembly import assembled
from adapters.middle.conversation import Conversation
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8


def decode_answer(conversation: Conversation, body: bytes, new_id: NewId) -> WholeAnswer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        response = decode_response(body)
    except UNREADABLE as unreadable:
        error = error_in(body)
        if error is None:
            told = f"The provider's answer cannot be read: {unreadable}"
            failure = Failure(kind=FailureKind.INVALID, status=200, message=told)
        else:
            failure = classify_object(error)
        raise BadAnswer(failure) from None
    if response.error != NULL:
        raise BadAnswer(classify_object(response.error))
    reading = AnswerReading(conversation, new_id)
    return assembled([*reading.take(response), *reading.finish(whole=True)])
