"""What every provider dialect is: four verbs over plain structs, and no transport.

The router hands a dialect a `Call` (what the client wants) and a `Target` (whom we ask, and how its
wire differs from the book), and gets bytes to send; it feeds the bytes that come back and gets answers,
stream events and failures. A new provider is a new implementation of `Dialect`, nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Literal, Protocol

import msgspec

from adapters.sse import Signal

Headers = Sequence[tuple[bytes, bytes]]
Endpoint = Literal["chat", "completions", "embeddings", "rerank"]
PathName = Literal["chat", "completions", "embeddings", "rerank", "responses"]
FaceName = Literal["chat", "responses", "messages"]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them.

    Tokens read from a cache and those written to one are parts of the input, reasoning is of the output.
    `estimated`: the provider did not tell all of it, and counting stood in.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has of a streamed answer whose stream broke, so that another model can go on with it.

    `text` is a JSON string: the pieces exactly as they were sent. `output_tokens`: what it took, counted
    by deltas where the provider told nothing. `usage`: what the provider had told. `members` are what else
    the stream goes on with, as its face has it: of a chat what all chunks share (`id`, `created`, `model`).
    """

    text: msgspec.Raw
    output_tokens: int
    usage: Usage | None
    members: dict[str, msgspec.Raw]


class File(msgspec.Struct, frozen=True):
    """The bytes behind a client's URL, in base64, and what they are."""

    media_type: str
    data: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One client request: the few fields the gateway reads, and every field's own bytes.

    `fields` keeps the JSON of each top-level field as the client wrote it, so that what the gateway does
    not understand passes through untouched. `choices` is how many choices the answer will have in all: `n`,
    for every prompt of a legacy completion. `output_cap`: the most tokens that the client allows for one of
    them, `None` where it set none.

    `face`: the dialect in which it came and wants its answer; OpenAI's other endpoints belong to `chat`.
    `request_id` and `asked_at` (unix seconds) stand in an answer whose provider gave it no name or no time.

    `passed_headers` are the client's own, for providers of its own dialect only.

    `output_limit`: the most tokens of one choice that the caller can pay for, where that is less than it
    asked for; the provider is told this cap instead of the client's. `keeps_beginning`: its streams are to
    remember their text, because a break may be mended. `beginning`: what the client has already; the answer
    is to go on from there. `files`: what lies at the client's URLs, as far as it was fetched, by URL.
    """

    endpoint: Endpoint
    model: str
    fields: dict[str, msgspec.Raw]
    face: FaceName = "chat"
    request_id: str = ""
    asked_at: int = 0
    passed_headers: Headers = ()
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    output_cap: int | None = None
    output_limit: int | None = None
    base64_embeddings: bool = False
    keeps_beginning: bool = False
    beginning: Beginning | None = None
    files: Mapping[str, File] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream model of one candidate, with what differs on its wire.

    `served_model` is the gateway's own id of the model, which the answer carries.
    `paths` maps each endpoint to the request target (path and query). `headers` hold the credential.
    `stream_usage` says whether the upstream accepts `stream_options.include_usage`. An answer that has
    begun must be marked as such for it if `marks_prefill`; if `echoes_prefill`, it repeats that beginning.
    `cap_field` is what it calls the most tokens of a chat answer. `betas` are the only flags of clients'
    `anthropic-beta` that go on to it, `None` for all. `sign`, where there is one, proves who
    sends a request by headers that depend on all of it and on the time.
    """

    upstream_model: str
    served_model: str
    paths: Mapping[PathName, bytes]
    headers: Headers
    stream_usage: bool = True
    marks_prefill: bool = False
    echoes_prefill: bool = False
    cap_field: str = "max_tokens"
    betas: frozenset[bytes] | None = None
    sign: "Callable[[EncodedRequest], EncodedRequest] | None" = None


class EncodedRequest(msgspec.Struct, frozen=True):
    """What goes out: request target (path and query), headers without framing, body bytes."""

    target: bytes
    headers: Headers
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """A whole answer for the client: its JSON body, and the usage where the provider told it.

    `output_bytes`: about how much text it holds, told where the usage is not.
    """

    body: bytes
    usage: Usage | None
    output_bytes: int = 0


class EventKind(Enum):
    """What a stream event means to the gateway."""

    START = auto()  # nothing a client could miss: a role, an empty delta, a preamble
    OUTPUT = auto()  # text, a tool call, reasoning: the first of these commits the answer
    FINISH = auto()  # a choice came to its end
    USAGE = auto()
    DONE = auto()
    OTHER = auto()  # valid, not understood, passed on
    ERROR = auto()
    MALFORMED = auto()


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of a stream: its meaning, and the exact bytes for the client (empty: nothing to send)."""

    kind: EventKind
    frame: bytes = b""
    failure: "Failure | None" = None


class FailureKind(Enum):
    """Classes of upstream failure, as the failure table of the design names them."""

    RATE_LIMITED = auto()
    OVERLOADED = auto()
    CREDENTIAL = auto()
    CONTEXT_LENGTH = auto()
    CONTENT_POLICY = auto()
    REFUSED = auto()  # any other 4xx: the client's own fault, passed on as it is
    INVALID = auto()  # an answer that is none: not JSON, a redirect, an empty body


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream's refusal. `retry_after` is in seconds from now; `status` as the upstream gave it."""

    kind: FailureKind
    status: int
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None


class BadCall(Exception):
    """The client's request body cannot be used; `param` names the field, where one is at fault."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class FilesWanted(Exception):
    """The provider does not open these URLs of the client's: have them in `Call.files`, and write again."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(f"{len(urls)} URLs are to be fetched")
        self.urls = urls


class BadAnswer(Exception):
    """The upstream's answer cannot be understood, or holds an error; `failure` says which."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ToldError(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is told of an error; `type`, `param` and `code` are OpenAI's words."""

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    request_id: str = ""


class StreamDecoder(Protocol):
    """Decodes one stream. Feed `b""` once at the end of the body."""

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""

    @property
    def output_bytes(self) -> int:
        """About how many bytes of text, reasoning and calls have come so far."""

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""

    @property
    def complete(self) -> bool:
        """Whether every choice has come to its end, so that a missing `[DONE]` is no loss."""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def next_event(self) -> StreamEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""

    def text_frame(self, data: bytes) -> bytes | None:
        """Return the frame for the client if these bytes are one event that says more text, and nothing else.

        `None`: they may be anything, nothing was taken, and they are for `receive_data`.
        """

    def closing_frames(self) -> bytes:
        """Return the bytes that end a complete stream: owed usage, then `[DONE]`."""

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the bytes that end a stream here as if it had reached its cap, with this usage."""

    def error_frames(self, error: ToldError) -> bytes:
        """Return the bytes that tell the client of a stream that has begun what became of it."""


class Classify(Protocol):
    """The verb that says what an error answer means, by itself."""

    def __call__(self, status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
        """Return the failure. `now_at` is unix time, for a Retry-After given as a date."""


class Dialect(Protocol):
    """The four verbs."""

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call as this provider wants it.

        Raises `BadCall` for what cannot be said to it, and `FilesWanted` where it needs bytes for a URL.
        """

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer. Raises `BadAnswer`."""

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for one stream."""

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means. `now_at` is unix time, for a Retry-After given as a date."""
