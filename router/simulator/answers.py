"""From a request to the performance of its answer: one method an endpoint.

Endpoints are recognised by the end of the path alone. Providers put them under all kinds of
prefixes (a version, a deployment, a tenant), and clients may be configured with any of those.
"""

from typing import Final
from urllib.parse import unquote

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.chat import ChatVoice
from router.simulator.choices import (
    Choice,
    chat_choices,
    completion_choices,
    echoed,
    prefill_of,
)
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
)
from router.simulator.model_list import check_known, list_answer, model_answer
from router.simulator.performance import Headers, Performance
from router.simulator.profile import Profile
from router.simulator.refusal import Refusal
from router.simulator.streaming import Script, streamed_answer
from router.simulator.timing import Timing
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


class Circumstances(msgspec.Struct, frozen=True):
    """What surrounds an answer without being asked for in it; `created` is in unix seconds."""

    behaviour: Behaviour
    timing: Timing
    name: str
    created: int
    headers: Headers


class Answers:
    """The endpoints of a provider with this profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def to(self, request: SeenRequest, around: Circumstances) -> Performance:
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
        return whole_answer(answer, at=0.0, behaviour=around.behaviour, headers=around.headers)

    def _chat(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, CHAT)
        check_chat(fields)
        check_known(self._profile, fields.model)
        choices = self._chat_choices(fields, around)
        usage = completion_usage(chat_prompt_tokens(fields), choices)
        voice = ChatVoice(
            _identity("chatcmpl-", fields, around),
            top_logprobs=(fields.top_logprobs or 0) if fields.logprobs else None,
            no_role=around.behaviour.no_role,
        )
        return _said(voice, choices, usage=usage, fields=fields, around=around)

    def _chat_choices(self, fields: ChatFields, around: Circumstances) -> list[Choice]:
        way = around.behaviour.prefill or self._profile.prefill
        if way == "refuse" and prefill_of(fields) is not None:
            message = "The last message must be the user's: this model does not take a prefill."
            raise Refusal(400, message, param="messages", code="invalid_value")
        choices = chat_choices(fields, tokens=self._tokens(around))
        if way == "echo" and prefill_of(fields) is not None:
            return [echoed(choice, fields) for choice in choices]
        return choices

    def _completion(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, COMPLETION)
        check_sampling(fields)
        check_known(self._profile, fields.model)
        choices = completion_choices(fields, tokens=self._tokens(around))
        counted = sum(map(input_tokens, inputs(fields.prompt, param="prompt")))
        voice = CompletionVoice(_identity("cmpl-", fields, around), top_logprobs=fields.logprobs)
        usage = completion_usage(counted, choices)
        return _said(voice, choices, usage=usage, fields=fields, around=around)

    def _embeddings(self, body: bytes, around: Circumstances) -> Performance:
        fields = decode(body, EMBEDDING)
        check_known(self._profile, fields.model)
        answer = embedding_answer(fields, as_floats=around.behaviour.embeddings_as_floats)
        at = around.timing.ready(0)
        return whole_answer(answer, at=at, behaviour=around.behaviour, headers=around.headers)

    def _tokens(self, around: Circumstances) -> int | None:
        ordered = around.behaviour.tokens
        return self._profile.tokens if ordered is None else ordered


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
    behaviour, timing = around.behaviour, around.timing
    if not fields.stream:
        at = timing.ready(max(choice.produced for choice in choices))
        answer = voice.whole(choices, usage)
        return whole_answer(answer, at=at, behaviour=behaviour, headers=around.headers)
    script = Script(voice, choices, behaviour=behaviour, timing=timing)
    steps = script.steps(usage, asked=_asked_for_usage(fields))
    return streamed_answer(steps, at=timing.first, behaviour=behaviour, headers=around.headers)
