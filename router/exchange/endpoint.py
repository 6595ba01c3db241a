"""Endpoints: candidates made ready to be asked.

A candidate is what the catalog says; an endpoint is the same with everything computed that does not
change from request to request: the origin, the request targets with their query, the headers with the
credential. It is made once per candidate and kept (`live`), with the picture of its health.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from adapters.credential import Credential, credential_of
from adapters.dialect import Call, Dialect, Failure, PathName, Target
from adapters.dialect_preset import DIALECT_PRESETS
from adapters.gemini.key_file import ServiceAccount
from adapters.providers import KNOWN_PROVIDERS
from adapters.registry import dialect_of_call, pieces_of
from router.catalog.candidate import Candidate, ProviderWire
from router.config import TimeoutConfig
from router.errors import GatewayError, from_failure
from router.upstream.origin import Origin, parse_base_url

_Headers = list[tuple[bytes, bytes]]
_LEAST_SECRET: Final = 8  # characters; shorter values turn up in any text by chance
_PATHS: Final[tuple[PathName, ...]] = ("chat", "completions", "embeddings", "rerank", "responses")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream model behind one key, ready to be asked.

    `dialect` names what it speaks. `secrets` are the configured values that its headers carry; `account` is
    the one whose token they carry instead (see `router.exchange.bearers`). `timeouts` are seconds. `weight`
    and `price` (US dollars per million tokens) are for the policy; `prefill`: it continues an answer that
    has begun.
    """

    provider: str
    origin: Origin
    dialect: str
    target: Target
    secrets: tuple[str, ...]
    timeouts: TimeoutConfig
    weight: float = 1.0
    price: float | None = None
    prefill: bool = False
    account: ServiceAccount | None = None
    _dialects: dict[tuple[str, str, bool], Dialect] = msgspec.field(default_factory=dict)

    def dialect_of(self, call: Call) -> Dialect:
        """Return how to ask here for the answer to a call, which came through a face of its own.

        It depends on nothing that many calls would not have in common, and so it is found once for all.
        """
        common = (call.endpoint, call.face, call.beginning is None)
        dialect = self._dialects.get(common)
        if dialect is None:
            has_responses = "responses" in self.target.paths
            dialect = dialect_of_call(call, self.dialect, has_responses=has_responses)
            self._dialects[common] = dialect
        return dialect

    def pieces_of(self, call: Call) -> Sequence[Call]:
        """Return the calls in which the provider takes this one. Raises `BadCall`."""
        return pieces_of(call, self.dialect, self.target)

    def fault(self, failure: Failure, token: str | None = None) -> GatewayError:
        """Return the error that a client gets for a failure here, with no secret of ours in it.

        Some providers repeat the key that they were sent, or the `token`, in the message of any error.
        """
        message = failure.message
        for secret in (*self.secrets, *([] if token is None else [token])):
            message = message.replace(secret, "***")
        told = msgspec.structs.replace(failure, message=message)
        return from_failure(told, provider=self.provider)


def make_endpoint(candidate: Candidate, user_agent: str) -> Endpoint:
    """Return the endpoint of a candidate. Raises `ValueError` for a base URL that is none."""
    origin, prefix = parse_base_url(candidate.base_url)
    known = KNOWN_PROVIDERS.get(candidate.provider)
    credential = _credential(candidate)
    target = Target(
        upstream_model=candidate.upstream_model,
        served_model=candidate.served_model,
        paths={
            name: target_of(candidate, prefix, path)
            for name in _PATHS
            if (path := getattr(candidate.paths, name)) is not None
        },
        headers=((b"content-type", b"application/json"), *headers_of(candidate, user_agent)),
        stream_usage=candidate.stream_usage,
        marks_prefill=known is not None and known.marks_prefill,
        echoes_prefill=known is not None and known.echoes_prefill,
        cap_field=known.cap_field if known is not None else "max_tokens",
        betas=None if candidate.betas is None else frozenset(f.encode() for f in candidate.betas),
        sign=None if credential is None else credential.sign,
    )
    return Endpoint(
        provider=candidate.provider,
        origin=origin,
        dialect=candidate.dialect,
        target=target,
        secrets=secrets_of(candidate),
        timeouts=candidate.timeouts,
        weight=candidate.weight,
        price=candidate.price,
        prefill=candidate.prefill,
        account=None if credential is None else credential.account,
    )


def target_of(wire: ProviderWire, prefix: str, path: str) -> bytes:
    """Return the request target for one path of a provider: prefix, path, query."""
    query = f"?{urlencode(wire.query)}" if wire.query else ""
    return f"{prefix}{path}{query}".encode("ascii")


def list_request(wire: ProviderWire, user_agent: str) -> tuple[Origin, bytes, _Headers]:
    """Return whom to ask for a provider's list of models, with which request target and headers.

    Where the configuration names a parameter or a header that its dialect has too, the configuration holds.
    """
    origin, prefix = parse_base_url(wire.base_url)
    preset = DIALECT_PRESETS[wire.dialect]
    query = dict(preset.list_query) | dict(wire.query)
    asked = msgspec.structs.replace(wire, query=tuple(query.items()))
    headers = headers_of(wire, user_agent)
    sent = {name for name, _ in headers}
    headers += [header for header in preset.list_headers if header[0] not in sent]
    return origin, target_of(asked, prefix, wire.paths.models), headers


def headers_of(wire: ProviderWire, user_agent: str) -> _Headers:
    """Return the headers that every request to a provider carries, the credential among them."""
    headers: _Headers = [(b"user-agent", user_agent.encode())]
    credential = _credential(wire)
    if credential is not None and credential.is_sent:
        secret = credential.value
        value = f"Bearer {secret}" if wire.key_header == "authorization" else secret
        headers.append((wire.key_header.encode(), value.encode("latin-1")))
    headers += [(name.encode(), value.reveal().encode("latin-1")) for name, value in wire.headers]
    return headers


def secrets_of(wire: ProviderWire) -> tuple[str, ...]:
    """Return the configured values among the headers that are long enough to be secrets."""
    given = [value.reveal() for _, value in wire.headers]
    credential = _credential(wire)
    if credential is not None:
        given += credential.secrets
    return tuple(value for value in given if len(value) >= _LEAST_SECRET)


def _credential(wire: ProviderWire) -> Credential | None:
    if wire.key is None:
        return None
    return credential_of(wire.dialect, wire.key.reveal(), base_url=wire.base_url)
