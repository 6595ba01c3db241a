"""OpenAI's dialect: from a request to the performance of its answer, one method an endpoint.

Endpoints are recognised by the end of the path alone. Providers put them under all kinds of
prefixes (a version, a deployment, a tenant), and clients may be configured with any of those.
"""

from typing import Any, Final
from urllib.parse import unquote

from router.simulator.behaviour import Behaviour
from router.simulator.chat import ChatVoice
from router.simulator.choices import (
    Choice,
    chat_choices,
    completion_choices,
    echoed,
    prefill_of,
)
from router.simulator.circumstances import Circumstances
from router.simulator.completions import CompletionVoice
from router.simulator.counts import SeenRequest
from router.simulator.embeddings import embedding_answer
from router.simulator.fields import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    ChatFields,
    Sampling,
    check_chat,
    check_sampling,
    decode,
    inputs,
    ordered_behaviour,
)
from router.simulator.idiom import Complaint, Idiom
from router.simulator.model_list import check_known, list_answer, model_answer
from router.simulator.performance import Headers, Performance
from router.simulator.profile import Profile
from router.simulator.refusal import Refusal, error_object
from router.simulator.telling import Telling
from router.simulator.usage import (
    Usage,
    chat_prompt_tokens,
    completion_usage,
    input_tokens,
)
from router.simulator.voice import Identity, Voice
from router.simulator.whole import whole_answer
from router.simulator.words import fingerprint

_POSTED: Final = ("/chat/completions", "/completions", "/embeddings")


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error."""
    error = complaint.told or error_object(
        complaint.status, message=complaint.message, param=complaint.param, code=complaint.code
    )
    return {"error": error}


IDIOM: Final = Idiom(
    error=error_body,
    refusals={
        "content": (
            "Your request was rejected as a result of our safety system.",
            "content_policy_violation",
        ),
        "length": (
            "This model's maximum context length is 128000 tokens. Please reduce the messages.",
            "context_length_exceeded",
        ),
    },
    done=b"[DONE]",
    malformed=b'{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"bro',
    unknown=b'{"object":"simulator.notice","notice":"an event of a type nobody knows"}',
)


class Answers:
    """The endpoints of a provider with this profile."""

    idiom = IDIOM

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def names_request(self, name: str) -> Headers:
        """The header that tells a client its request's id."""
        return ((b"x-request-id", name.encode()),)

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without one of these keys; no keys at all admit any."""
        if not keys:
            return
        bearer = (request.header(b"authorization") or b"").partition(b" ")[2].strip()
        if bearer not in keys and request.header(b"api-key") not in keys:
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:
        """What the body's `simulate` field orders; raises Refusal if that field is wrong."""
        return ordered_behaviour(body)

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what a provider refuses."""
        path = "/" + request.target.partition(b"?")[0].decode("latin-1").strip("/")
        if path.endswith(_POSTED):
            _check_method(request, b"POST")
            return self._posted(path, request.body, around)
        if path.endswith("/models") or "/models/" in path:
            _check_method(request, b"GET")
            return self._models(path, around)
        raise Refusal(
            404, f"Invalid URL ({request.method.decode('latin-1')} {path}).", code="unknown_url"
        )

    def _posted(self, path: str, body: bytes, around: Circumstances) -> Performance:
        if path.endswith("/chat/completions"):
            return self._chat(body, around)
        if path.endswith("/completions"):
            return self._completion(body, around)
        return self._embeddings(body, around)

    def _models(self, path: str, around: Circumstances) -> Performance:
        # The first one counts: ids may contain slashes, and the word itself.
        _, _, model = (path + "/").partition("/models/")
        model = unquote(model.strip("/"))
        answer = model_answer(self._profile, model) if model else list_answer(self._profile)
        return whole_answer(
            answer, at=0.0, idiom=IDIOM, behaviour=around.behaviour, headers=around.headers
        )

    def _chat(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, CHAT)
        check_chat(fields)
        check_known(self._profile, fields.model)
        choices = self._chat_choices(fields, around)
        cached = around.behaviour.cached_tokens
        usage = completion_usage(chat_prompt_tokens(fields), choices, cached=cached)
        voice = ChatVoice(
            _identity("chatcmpl-", fields, around),
            top_logprobs=(fields.top_logprobs or 0) if fields.logprobs else None,
            no_role=around.behaviour.no_role,
        )
        return _said(voice, choices, usage=usage, fields=fields, around=around)

    def _chat_choices(self, fields: ChatFields, around: Circumstances) -> list[Choice]:
        way = around.prefill
        if way == "refuse" and prefill_of(fields) is not None:
            message = "The last message must be the user's: this model does not take a prefill."
            raise Refusal(400, message, param="messages", code="invalid_value")
        choices = chat_choices(fields, tokens=around.tokens)
        if way == "echo" and prefill_of(fields) is not None:
            return [echoed(choice, fields) for choice in choices]
        return choices

    def _completion(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, COMPLETION)
        check_sampling(fields)
        check_known(self._profile, fields.model)
        choices = completion_choices(fields, tokens=around.tokens)
        counted = sum(map(input_tokens, inputs(fields.prompt, param="prompt")))
        voice = CompletionVoice(_identity("cmpl-", fields, around), top_logprobs=fields.logprobs)
        usage = completion_usage(counted, choices, cached=around.behaviour.cached_tokens)
        return _said(voice, choices, usage=usage, fields=fields, around=around)

    def _embeddings(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, EMBEDDING)
        check_known(self._profile, fields.model)
        answer = embedding_answer(fields, as_floats=around.behaviour.embeddings_as_floats)
        at = around.timing.ready(0)
        return whole_answer(
            answer, at=at, idiom=IDIOM, behaviour=around.behaviour, headers=around.headers
        )


def _check_method(request: SeenRequest, method: bytes) -> None:
    if request.method != method:
        message = f"Not allowed to {request.method.decode('latin-1')} here; use {method.decode()}."
        raise Refusal(405, message, code="method_not_allowed")


def _asked_for_usage(fields: Sampling) -> bool:
    return fields.stream_options is not None and bool(fields.stream_options.include_usage)


def _identity(prefix: str, fields: Sampling, around: Circumstances) -> Identity:
    behaviour = around.behaviour
    nulls = (
        _asked_for_usage(fields) and not behaviour.omit_usage and not behaviour.usage_on_last_chunk
    )
    return Identity(
        id=prefix + around.name,
        created=around.created,
        model=fields.model,
        system_fingerprint="fp_" + fingerprint(fields.model).hex()[:10],
        extra=behaviour.extra,
        usage_null=nulls,
    )


def _said(
    voice: Voice, choices: list[Choice], *, usage: Usage, fields: Sampling, around: Circumstances
) -> Performance:
    told = Telling(voice, choices, usage=usage, idiom=IDIOM, around=around)
    return told.streamed(asked=_asked_for_usage(fields)) if fields.stream else told.whole()
