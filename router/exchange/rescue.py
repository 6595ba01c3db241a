"""Rescue: an answer that breaks off in the middle is gone on with by somebody else.

The client has a part of the answer, so nothing can be tried again unseen. But a model that takes an assistant
prefill writes on from the text so far, and the client reads one answer. That is tried once a request, where
the text alone is enough to go on with: see `adapters.continuing` for what that leaves out.

It is an attempt like any other, out of the same budget and below the same limits, and whoever broke is not
asked. Whatever comes of it, the client never hears of a failed rescue: it is told of the break itself.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import trio

from adapters.continuing import can_be_continued, continue_call
from adapters.dialect import Call
from router.catalog.routes import Route
from router.errors import GatewayError
from router.exchange.hedge import Won
from router.exchange.live import Run
from router.exchange.racing import Contest, Racing, Request
from router.exchange.relay import StreamRelay
from router.exchange.stream_attempt import CommittedStream

Opener = Callable[[Run], Awaitable[CommittedStream]]


def may_be_rescued(call: Call, route: Route) -> bool:
    """Tell, before the first attempt, whether the answer's beginning is worth keeping."""
    return can_be_continued(call) and route.has_rescuer


class Rescue:
    """The rescue of one request's answer.

    `opener_of(call)` gives the way to open a stream for a call.
    """

    def __init__(
        self,
        request: Request,
        *,
        racing: Racing,
        opener_of: Callable[[Call], Opener],
    ) -> None:
        self._request = request
        self._racing = racing
        self._opener_of = opener_of
        self._won: Won[CommittedStream] | None = None

    async def win(
        self, broken: Won[CommittedStream], error: GatewayError, relay: StreamRelay
    ) -> Won[CommittedStream] | None:
        """Return the stream that goes on, committed, or `None`.

        The client gets its keep-alive comments meanwhile. Cancellation ends every attempt at once.
        """
        contest = self._contest_after(broken, error)
        if contest is None:
            return None
        try:
            await relay.comment_while(partial(self._run, contest))
        except BaseException:
            self._let_go()
            raise
        return self._won

    def _contest_after(
        self, broken: Won[CommittedStream], error: GatewayError
    ) -> Contest[CommittedStream] | None:
        request = self._request
        beginning = broken.value.decoder.beginning
        if beginning is None or not error.another_attempt:
            return None
        rest = continue_call(request.call, beginning)
        others = self._racing.rescuers(request.route, request.wish, broken.run)
        if rest is None or others is None:
            return None
        return self._racing.rescue(
            msgspec.structs.replace(request, call=rest, route=others),
            attempt=self._opener_of(rest),
            discard=_discard,
        )

    async def _run(self, contest: Contest[CommittedStream]) -> None:
        try:
            self._won = await contest.run(trio.current_time())
        except GatewayError:
            self._won = None  # the client is told of the break, not of the rescue

    def _let_go(self) -> None:
        """Give up a stream that was won and that nobody will read."""
        if self._won is not None:
            self._won.run.abandoned(trio.current_time())
            self._won.value.response.discard()


def _discard(stream: CommittedStream) -> None:
    stream.response.discard()
