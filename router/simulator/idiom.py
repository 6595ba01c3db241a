"""How a dialect says what is not content: its errors, and the marks of its streams.

The faults are the same in every dialect, only their words differ. So streams and whole answers are
written by one piece of code, which is handed the words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.performance import EVENT_STREAM, Headers, Step
from router.simulator.refusal import Refusal
from router.simulator.shaping import crlf_event_lines, event_lines

Lines = Callable[[Iterable[Step]], Iterator[Step]]


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """An error before a dialect has worded it.

    `message` None stands for the usual words of the status. `told` is the whole inside of the error
    object where a behaviour orders it. `retry_after` is in seconds.
    """

    status: int
    message: str | None = None
    param: str | None = None
    code: str | None = None
    told: dict[str, Any] | str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """What a refusal complains of."""
        return cls(
            status=refusal.status,
            message=refusal.message,
            param=refusal.param,
            code=refusal.code,
        )

    @classmethod
    def ordered(cls, status: int, behaviour: Behaviour) -> Self:
        """What a behaviour orders to complain of."""
        return cls(status=status, told=behaviour.error, retry_after=behaviour.retry_after)

    @property
    def words(self) -> str:
        """The message, or else that it was ordered."""
        return self.message or f"The simulated provider was told to fail with status {self.status}."


def no_headers(complaint: Complaint) -> Headers:  # noqa: ARG001 - one way to tell of any complaint
    """Nothing besides the body."""
    return ()


class Idiom(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one dialect.

    `error` gives the body of an error, `error_headers` what its head says of it besides; `retry_header`
    tells whether a header says how long to wait. Inside a 200 the same is said by `error_event` in a
    stream and by `error_answer` in a whole answer, where those have other words for it.
    `refusals` are the words in which it refuses a prompt, each with its code if it has one.
    `done` is the payload that ends a stream, empty where its end is enough; `malformed` is one of
    broken JSON, `unknown` one of a type nobody knows. `lines` write payloads down, `odd_lines` with
    all that the format allows; both as `media`.
    """

    error: Callable[[Complaint], dict[str, Any]]
    malformed: bytes
    unknown: bytes
    error_headers: Callable[[Complaint], Headers] = no_headers
    error_event: Callable[[Complaint], dict[str, Any]] | None = None
    error_answer: Callable[[Complaint], dict[str, Any]] | None = None
    refusals: Mapping[str, tuple[str, str | None]] = {}
    done: bytes = b""
    retry_header: bool = True
    lines: Lines = event_lines
    odd_lines: Lines = crlf_event_lines
    media: Headers = EVENT_STREAM

    def refusal(self, why: str) -> Refusal | None:
        """The error by which a prompt is refused, None where that is said in some other way."""
        found = self.refusals.get(why)
        return None if found is None else Refusal(400, found[0], code=found[1])

    def in_stream(self, complaint: Complaint) -> dict[str, Any]:
        """The payload of an error in the middle of a stream."""
        return (self.error_event or self.error)(complaint)

    def in_answer(self, complaint: Complaint) -> dict[str, Any]:
        """The body of a 200 that is an error all the same."""
        return (self.error_answer or self.error)(complaint)
