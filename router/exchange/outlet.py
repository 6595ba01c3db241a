"""The client's end of a relayed stream: frames go out, and the client is never left in silence for long."""

from typing import Final

import trio

from router.exchange.reply import Reply

KEEP_ALIVE_COMMENT: Final = b": keep-alive\n\n"


class Outlet:
    """Sends frames through a reply. `events` counts them, `sent_at` is the trio time of the last.

    `comment_every`: after so many seconds of silence the client is due a comment, so that proxies between do
    not give the connection up; the next one at `comment_at`.
    """

    __slots__ = ("_comment_every", "events", "reply", "sent_at")

    def __init__(self, reply: Reply, *, comment_every: float) -> None:
        self.reply = reply
        self.events = 0
        self._comment_every = comment_every
        self.sent_at = 0.0

    @property
    def comment_at(self) -> float:
        """The trio time at which the client will have heard nothing for long enough."""
        return self.sent_at + self._comment_every

    async def send_frames(self, frames: list[bytes]) -> None:
        """Send frames in one write, if there are any; waits while the client does not take them."""
        if frames:
            self.events += len(frames)
            await self.send(b"".join(frames))

    async def comment(self) -> None:
        """Send what clients skip."""
        await self.send(KEEP_ALIVE_COMMENT)

    async def send(self, data: bytes) -> None:
        """Send bytes that count as no frames."""
        await self.reply.send(data)
        self.sent_at = trio.current_time()

    def send_frames_now(self, frames: list[bytes], now: float) -> bool:
        """Send frames in one write without waiting; whether they all went out, or `flush` must follow."""
        self.events += len(frames)
        self.sent_at = now
        return self.reply.send_now(b"".join(frames))

    async def flush(self) -> None:
        """Send what `send_frames_now` could not; waits while the client does not take it."""
        await self.reply.flush()
        self.sent_at = trio.current_time()
