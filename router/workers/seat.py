"""A worker's place among its siblings.

Whatever a worker owns alone on a machine that it shares (a socket, a region of shared memory, a journal)
needs a name that no sibling uses. `index` is that name: the lowest number that no living worker of this
gateway has. A worker that is started anew gets the number of the one that died, so what was left behind is
found again.

Files that outlive a gateway want a lock besides. The workers of a supervisor that was killed still drain when
the next one hands out the same numbers.
"""

from collections.abc import Sequence
from pathlib import Path

import trio


class Seat:
    """Where one worker sits: `index` 0 without siblings, `folder` where siblings find each other, or `None`.

    `listeners` are the sockets it was given; `None` means that it opens its own. `relieved` says that
    others go on serving its address, so that nobody has to be sent away when it stops.
    """

    def __init__(
        self,
        index: int = 0,
        *,
        folder: Path | None = None,
        listeners: Sequence[trio.SocketListener] | None = None,
    ) -> None:
        self.index = index
        self.folder = folder
        self.listeners = listeners
        self.relieved = False

    def __repr__(self) -> str:
        return f"Seat({self.index}, folder={self.folder})"


class Seats:
    """The numbers in use, handed out like file descriptors: always the lowest that is free."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self) -> int:
        """Return the lowest free number, which is taken from now on."""
        index = next(number for number in range(len(self._taken) + 1) if number not in self._taken)
        self._taken.add(index)
        return index

    def give_back(self, index: int) -> None:
        """Free a number. Raises `KeyError` if it was not taken."""
        self._taken.remove(index)
