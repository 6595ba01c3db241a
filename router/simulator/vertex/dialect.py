"""Vertex AI's endpoints: Gemini's bodies below a project and a location, and embeddings of another form.

Source: "GenerateContent" and "Text embeddings API" in the documentation of Vertex AI.
"""

import re
import struct
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import unquote

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.embeddings import DIMENSIONS, SMALL_DIMENSIONS, packed_vector
from router.simulator.gemini.dialect import generated
from router.simulator.gemini.error import IDIOM, invalid
from router.simulator.gemini.fields import Strict, decode
from router.simulator.performance import Headers, Performance
from router.simulator.refusal import Refusal
from router.simulator.usage import text_tokens
from router.simulator.vertex.token import check_token
from router.simulator.whole import whole_answer

_PATH: Final = re.compile(
    r".*/v1(?:beta1)?/projects/[^/]+/locations/[^/]+/publishers/google/models/"
    r"(?P<model>[^/:]+):(?P<method>generateContent|streamGenerateContent|predict)"
)
_SINGLE: Final = "gemini-embedding"


class Instance(Strict, frozen=True, kw_only=True):
    """One text to embed; names as Vertex AI has them, of both kinds."""

    content: Annotated[str, msgspec.Meta(min_length=1)]
    title: str | None = None
    task_type: str | None = msgspec.field(default=None, name="task_type")


class Parameters(Strict, frozen=True, kw_only=True):
    """The form of the vectors."""

    output_dimensionality: Annotated[int, msgspec.Meta(ge=1, le=16_384)] | None = None
    auto_truncate: bool | None = None


class PredictFields(Strict, frozen=True, kw_only=True):
    """A batch of texts."""

    instances: Annotated[list[Instance], msgspec.Meta(min_length=1, max_length=250)]
    parameters: Parameters = Parameters()


_PREDICT: Final = msgspec.json.Decoder(PredictFields)


class VertexDialect:
    """Answers, streamed answers, and embeddings. `wall_clock` gives unix seconds."""

    idiom = IDIOM

    def __init__(self, *, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path names a project, a location, one of Google's models, and a method."""
        return _called(request) is not None

    def names_request(self, name: str) -> Headers:  # noqa: ARG002 - the protocol's
        """No header: Google names answers in their body."""
        return ()

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without a bearer token that is good now."""
        said = (request.header(b"authorization") or b"").decode("latin-1")
        scheme, _, token = said.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            told = "Request is missing required authentication credential. Expected OAuth 2 access"
            raise Refusal(401, f"{told} token.", code="CREDENTIALS_MISSING")
        check_token(token.strip(), keys, now_at=self._wall_clock())

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:  # noqa: ARG002 - the protocol's
        """Nothing: no field of a request could carry an order, only the header can."""
        return None

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what Vertex AI refuses."""
        found = _called(request)
        if request.method != b"POST" or found is None:
            raise Refusal(404, "The requested URL was not found on this server.")
        model, method = unquote(found["model"]), found["method"]
        known = around.profile.models
        if known is not None and model not in known:
            told = f"Publisher Model `publishers/google/models/{model}` was not found or your"
            raise Refusal(404, f"{told} project does not have access to it.")
        if method == "predict":
            return _predicted(decode(request.body, _PREDICT), model, around)
        return generated(request, model, method, around)


def _called(request: SeenRequest) -> re.Match[str] | None:
    return _PATH.fullmatch(request.target.partition(b"?")[0].decode("latin-1"))


def _predicted(fields: PredictFields, model: str, around: Circumstances) -> Performance:
    if _SINGLE in model and len(fields.instances) > 1:
        raise invalid("Batch size of more than 1 is not supported for this model.")
    size = fields.parameters.output_dimensionality or DIMENSIONS.get(model, SMALL_DIMENSIONS)
    answer = {
        "predictions": [{"embeddings": _embedding(one.content, size)} for one in fields.instances],
        "metadata": {"billableCharacterCount": sum(len(one.content) for one in fields.instances)},
    }
    return whole_answer(
        answer,
        at=around.timing.ready(0),
        idiom=IDIOM,
        behaviour=around.behaviour,
        headers=around.headers,
    )


def _embedding(text: str, size: int) -> dict[str, Any]:
    values = list(struct.unpack(f"<{size}f", packed_vector(text, size)))
    return {
        "values": values,
        "statistics": {"token_count": text_tokens(text), "truncated": False},
    }
