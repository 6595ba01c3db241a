"""The tokens of service accounts: fetched once for all who need them, and kept until they are about to end.

Whoever needs a token first fetches it, in its own task and under its own deadline; the others wait for that
answer, which is a refusal for all of them if it is one for the first. If the first one leaves, the next of
them takes its place. So there is no task in the background, and nothing to stop. When to do which is decided
by `router.routing.token_life`.
"""

from collections.abc import Callable
from typing import Final

import trio

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.gemini.key_file import ServiceAccount
from adapters.gemini.service_account import Token, read_token, token_request
from router.routing.token_life import Step, TokenLife
from router.upstream.client import OutgoingRequest, UpstreamClient
from router.upstream.errors import UpstreamTransportError
from router.upstream.origin import parse_base_url

MAX_TOKEN_BYTES: Final = 64 * 1024


class _Round:
    """One fetch, for those who wait for it."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.failure: Failure | None = None


class _Account:
    def __init__(self) -> None:
        self.life = TokenLife()
        self.round = _Round()


class Bearers:
    """The tokens of all accounts. `wall_clock` gives unix seconds, which a request for a token must state."""

    def __init__(self, client: UpstreamClient, wall_clock: Callable[[], float]) -> None:
        self._client = client
        self._wall_clock = wall_clock
        self._accounts: dict[ServiceAccount, _Account] = {}

    async def token_of(self, account: ServiceAccount) -> str:
        """Return a token that is good now. Raises `BadAnswer`; a caller that is cancelled leaves nothing."""
        held = self._accounts.setdefault(account, _Account())
        while True:
            match held.life.next_step(trio.current_time()):
                case Step.USE:
                    return held.life.value
                case Step.FETCH:
                    return await self._fetch_for_all(account, held)
                case Step.WAIT:
                    current = held.round
                    await current.over.wait()
                    if current.failure is not None:
                        raise BadAnswer(current.failure)

    def refused(self, account: ServiceAccount, token: str) -> None:
        """Forget a token that the provider did not take."""
        if account in self._accounts:
            self._accounts[account].life.refused(token)

    async def _fetch_for_all(self, account: ServiceAccount, held: _Account) -> str:
        current = held.round = _Round()
        over = False
        try:
            token = await self._fetch(account)
            held.life.fetched(token.value, token.expires_at)
            over = True
        except BadAnswer as error:
            current.failure = error.failure
            held.life.failed(trio.current_time())
            over = True
            if not held.life.good(trio.current_time()):
                raise
        finally:
            if not over:
                held.life.abandoned()
            current.over.set()
        return held.life.value

    async def _fetch(self, account: ServiceAccount) -> Token:
        began = trio.current_time()
        request = token_request(account, now_at=self._wall_clock())
        origin, path = parse_base_url(account.token_uri)
        target = (path or "/").encode("ascii")
        try:
            response = await self._client.send(
                origin, OutgoingRequest(b"POST", target, list(request.headers), request.body)
            )
            try:
                body = await response.read(MAX_TOKEN_BYTES)
            finally:
                response.discard()
        except UpstreamTransportError as error:
            raise BadAnswer(_unreachable()) from error
        return read_token(response.status, body, now=began)


def _unreachable() -> Failure:
    return Failure(
        kind=FailureKind.OVERLOADED, status=503, message="The token service could not be reached."
    )
