"""Anthropic's endpoints: what is checked in which order, and what is answered."""

import re
from typing import Final

from router.simulator.anthropic.content import reply_to
from router.simulator.anthropic.error import IDIOM, invalid
from router.simulator.anthropic.fields import (
    MessagesFields,
    Prompt,
    messages_fields,
    ordered_behaviour,
    prompt_fields,
)
from router.simulator.anthropic.settings import check_prompt, check_sampling
from router.simulator.anthropic.turns import check_turns
from router.simulator.anthropic.usage import input_usage, output_usage, prompt_tokens
from router.simulator.anthropic.version import check_version, version_of
from router.simulator.anthropic.voice import MessageVoice
from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.performance import Headers, Performance
from router.simulator.profile import Profile
from router.simulator.refusal import Refusal
from router.simulator.telling import Telling
from router.simulator.whole import whole_answer

_MESSAGES: Final = b"/messages"
_COUNT: Final = b"/messages/count_tokens"
_FLAG: Final = re.compile(rb"[a-z0-9-]+-\d{4}-\d{2}-\d{2}")


class AnthropicDialect:
    """Messages and the counting of their tokens."""

    idiom = IDIOM

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path is one of Anthropic's."""
        return _path(request).endswith((_MESSAGES, _COUNT))

    def names_request(self, name: str) -> Headers:
        """The header that tells a client its request's id."""
        return ((b"request-id", name.encode()),)

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without a key, or with none of these if there are any.

        The key is in `x-api-key`, else a bearer's, as newer clients send it.
        """
        bearer = (request.header(b"authorization") or b"").partition(b" ")[2].strip()
        key = request.header(b"x-api-key") or bearer
        if not key:
            raise Refusal(401, "x-api-key header is required")
        if keys and key not in keys:
            raise Refusal(401, "invalid x-api-key")

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:
        """What the body's `metadata.simulate` orders; raises Refusal if that field is wrong."""
        return ordered_behaviour(body)

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what Anthropic refuses."""
        if request.method != b"POST":
            raise Refusal(405, "Method Not Allowed")
        version = version_of(request)
        _check_flags(request)
        if _path(request).endswith(_COUNT):
            prompt = prompt_fields(request)
            _check(prompt, around.profile, version)
            return _counted(prompt, around)
        fields = messages_fields(request)
        _check(fields, around.profile, version)
        check_sampling(fields)
        return _said(fields, around)


def _path(request: SeenRequest) -> bytes:
    return request.target.partition(b"?")[0].rstrip(b"/")


def _check_flags(request: SeenRequest) -> None:
    for flag in (request.header(b"anthropic-beta") or b"").split(b","):
        if flag.strip() and not _FLAG.fullmatch(flag.strip()):
            told = flag.strip().decode("latin-1")
            raise invalid(f"Unexpected value(s) `{told}` for the `anthropic-beta` header.")


def _check(fields: Prompt, profile: Profile, version: bytes) -> None:
    if profile.models is not None and fields.model not in profile.models:
        raise Refusal(404, f"model: {fields.model}")
    check_turns(fields)
    check_version(fields, version)
    check_prompt(fields)


def _counted(fields: Prompt, around: Circumstances) -> Performance:
    answer = {"input_tokens": prompt_tokens(fields)}
    return whole_answer(
        answer,
        at=around.timing.ready(0),
        idiom=IDIOM,
        behaviour=around.behaviour,
        headers=around.headers,
    )


def _said(fields: MessagesFields, around: Circumstances) -> Performance:
    behaviour = around.behaviour
    reply = reply_to(fields, around)
    usage = input_usage(fields, cached=behaviour.cached_tokens)
    voice = MessageVoice(
        reply, model=fields.model, name=around.name, usage=usage, behaviour=behaviour
    )
    told = Telling(voice, [reply.choice], output_usage(reply), IDIOM, around)
    return told.streamed() if fields.stream else told.whole()
