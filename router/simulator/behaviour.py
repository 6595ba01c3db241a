"""What one request should do differently: the vocabulary of faults and oddities.

Every field is something a real provider has been seen to do. A test plans behaviours from outside;
a person asks for one in the request itself, with a body field `"simulate": {...}` of the same
names. The official SDKs send it by `extra_body`, and a gateway passes it through like any field it
does not know. Dialects that refuse such fields have other places for it: Anthropic's is
`"metadata": {"simulate": {...}}`, and a header `x-simulate` with the same JSON is read in all of
them.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from router.simulator.latency import NonNegative
from router.simulator.profile import Prefill, Tokens

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
MOST_NESTED: Final = 100
ErrorStatus = Annotated[int, msgspec.Meta(ge=400, le=599)]


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request's orders; what is not set follows the profile. Durations are seconds.

    Faults "after n tokens" strike at the moment when the next token was due, n = 0 before the
    first one; with several choices a token of each counts as one. An answer shorter than n is not
    touched. In an answer that is not streamed they strike in the middle of the body, whatever n
    is.
    """

    # Pace and length.
    ttft: NonNegative | None = None
    gap: NonNegative | None = None
    tokens: Tokens | None = None
    delay_head: NonNegative | None = None
    """When the head goes out; unset, it comes with the first byte of the body."""
    keep_open_after_done: NonNegative = 0.0
    """How long the body stays open after [DONE]."""

    # Errors that are said.
    status: ErrorStatus | None = None
    """Answer with this HTTP error instead."""
    error: dict[str, Any] | str | None = None
    """The inside of the error object; with `status` a text makes a body that is not JSON."""
    retry_after: NonNegative | None = None
    error_event_after: Count | None = None
    """An error object in the middle of a 200 answer, then the end without [DONE]."""
    error_event_status: ErrorStatus = 500
    """The status whose error object that is, unless `error` says what is in it."""
    refuses: Literal["content", "length"] | None = None
    """Refuses the prompt as its dialect does: for what it says, or because it is too long."""

    # Errors that are not said.
    reset_before_head: bool = False
    silence: bool = False
    """Never answers; the connection stays open until the client leaves."""
    cut_after: Count | None = None
    """Closes without the end of the body."""
    stall_after: Count | None = None
    """Sends nothing more, yet stays connected."""
    hang_up: bool = False
    """Closes after a complete answer which did not announce it."""
    malformed_at: Count | None = None
    """A data line of broken JSON before token n; a whole answer becomes broken JSON itself."""

    # Dialects and oddities.
    omit_done: bool = False
    """Leaves out the mark of the end: [DONE], Anthropic's message_stop; Gemini and Bedrock have none."""
    cached_tokens: Count = 0
    """So many tokens of the prompt, at most all, count as read from the provider's cache."""
    omit_usage: bool = False
    usage_on_last_chunk: bool = False
    """Usage rides on the chunk with the finish reason, asked for or not."""
    no_role: bool = False
    unknown_event: bool = False
    """Starts the stream with an event of a type nobody knows."""
    extra: dict[str, Any] = {}
    """Merged into every chunk or answer: fields nobody knows, or other values for known ones."""
    prefill: Prefill | None = None
    """What becomes of an assistant's message that stands last."""
    embeddings_as_floats: bool = False
    """Ignores `encoding_format`."""

    # The form of the bytes.
    gzip: bool = False
    body_split: Positive | None = None
    """Every piece of the body is written in parts of so many bytes."""
    coalesce: Positive = 1
    """So many events share one write, which goes out when the last of them is due."""
    crlf: bool = False
    """CRLF line ends, with comment, `event:` and `id:` lines around the data."""

    def __post_init__(self) -> None:
        """Raise ValueError for content that could not be put into an answer."""
        if "choices" in self.extra:
            raise ValueError("`extra` cannot replace `choices`")
        if not _nested_at_most(MOST_NESTED, self.extra) or not _nested_at_most(
            MOST_NESTED, self.error
        ):
            raise ValueError(f"`extra` and `error` may be nested {MOST_NESTED} deep")


def _nested_at_most(levels: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_nested_at_most(levels - 1, one) for one in inner)
