"""The metrics of all workers, whichever of them is asked.

A scrape reaches one worker, and the next scrape another. So each worker tells its own metrics on a socket in
the folder that siblings share, and the one that is scraped asks all others. One that does not answer in time
is reported as not up; it never makes the scrape fail, for that is when an operator needs the page most.

On the socket a page comes as its length, a line break, and the page: half a page must not pass for a whole.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from router.workers.exposition import merge
from router.workers.seat import Seat

PATIENCE_SECONDS: Final = 1.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024

Render = Callable[[], tuple[bytes, str]]


class MetricsPage:
    """What `/metrics` answers. `render` gives this worker's own page and its content type."""

    def __init__(self, render: Render, seat: Seat) -> None:
        self._render = render
        self._seat = seat

    async def render(self) -> tuple[bytes, str]:
        """Return the page of all workers; without siblings, this one's own. Takes a second at most."""
        own, content_type = self._render()
        folder = self._seat.folder
        if folder is None:
            return own, content_type
        told: dict[int, bytes | None] = {self._seat.index: own}
        async with trio.open_nursery() as nursery:
            for index in _siblings(folder, besides=self._seat.index):
                nursery.start_soon(_ask_into, told, index, folder)
        pages = {index: page for index, page in told.items() if page is not None}
        return merge(pages, told.keys() - pages.keys()), content_type

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell siblings this worker's page until cancelled. Raises `OSError`; without siblings it ends."""
        folder = self._seat.folder
        if folder is None:
            task_status.started()
            return
        path = page_path(folder, self._seat.index)
        path.unlink(missing_ok=True)  # left behind by a worker that was killed
        listener = await _listen(path)
        try:
            await trio.serve_listeners(self._tell, [listener], task_status=_Started(task_status))
        finally:
            path.unlink(missing_ok=True)

    async def _tell(self, stream: trio.SocketStream) -> None:
        page, _ = self._render()
        with trio.move_on_after(PATIENCE_SECONDS):
            try:
                await stream.send_all(b"%d\n%b" % (len(page), page))
            except trio.BrokenResourceError:
                return  # it did not wait for us
            finally:
                stream.socket.close()


def page_path(folder: Path, index: int) -> Path:
    """Return where the worker with this number tells its metrics."""
    return folder / f"worker-{index}.sock"


def _siblings(folder: Path, *, besides: int) -> list[int]:
    numbers = [int(path.stem.partition("-")[2]) for path in folder.glob("worker-*.sock")]
    return sorted(number for number in numbers if number != besides)


async def _ask_into(told: dict[int, bytes | None], index: int, folder: Path) -> None:
    told[index] = None
    with trio.move_on_after(PATIENCE_SECONDS):
        told[index] = await _ask(page_path(folder, index))


async def _ask(path: Path) -> bytes | None:
    """Return a sibling's page, or `None` if it tells none or only a part."""
    received = bytearray()
    try:
        async with await trio.open_unix_socket(path) as stream:
            while len(received) < _MOST_BYTES and (piece := await stream.receive_some(_READ_BYTES)):
                received += piece
    except (OSError, trio.BrokenResourceError):
        return None
    length, _, page = bytes(received).partition(b"\n")
    return page if length == b"%d" % len(page) else None


async def _listen(path: Path) -> trio.SocketListener:
    opened = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await opened.bind(str(path))
        opened.listen()
    except BaseException:
        opened.close()
        raise
    return trio.SocketListener(opened)


class _Started:
    """`trio.serve_listeners` reports its listeners; our callers only want to know that it listens."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, _listeners: object = None) -> None:
        self._task_status.started()
