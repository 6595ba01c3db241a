"""The journal of one worker: where a request's end is written down before its client hears of it.

`append` writes to the file at once, synchronously. What is written is in the kernel's hands, so no `kill
-9` of ours can lose it; a background task has the disk sync it in groups, so that the loss of power takes
the last moments at most. It costs a few microseconds. A request does not wait for a disk or a database.

Its bound is on the disk: beyond `backlog_bytes` that are not booked yet, or with less than half a file of
room left, it stops accepting. The gateway asks before it lets a request in, not when it ends. So what was let
in finds room: half a file is some twenty thousand settlements. In memory there is only a copy of the newest
(`recent`), which nothing depends on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from router.ledger.frame import write_frame
from router.ledger.journal_file import Disk, JournalFile, make_file
from router.ledger.settlement import Settlement

FILE_BYTES: Final = 16 * 1024 * 1024
BACKLOG_BYTES: Final = 64 * 1024 * 1024


class JournalFull(Exception):
    """A settlement could not be written down; the cause says why.

    The client must not be told that all is well.
    """


class Journal:
    """The files of one worker, of which one is written to. Used from trio's thread alone."""

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk | None = None,
        file_bytes: int = FILE_BYTES,
        backlog_bytes: int = BACKLOG_BYTES,
    ) -> None:
        """Make the folder (mode 0700) and the first file. Blocks on the disk; raises `OSError`."""
        self.disk = disk or Disk()
        self.folder = folder
        self._file_bytes = file_bytes
        self._backlog_bytes = backlog_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._current: JournalFile | None = self.make_spare()
        self._spare: JournalFile | None = None
        self._sealed: list[JournalFile] = []
        self.written = 0  # bytes, since it was opened, and how many of them are booked
        self.booked = 0

    @property
    def accepts(self) -> bool:
        """Whether a new request may be let in: its end will find room."""
        if self.written - self.booked >= self._backlog_bytes:
            return False
        current = self._current
        return self._spare is not None or (
            current is not None and current.size - current.end >= self._file_bytes // 2
        )

    @property
    def backlog_bytes(self) -> int:
        """How much is written and not booked yet."""
        return self.written - self.booked

    def note_booked(self, file: JournalFile, position: int) -> None:
        """Hear up to which byte a file is booked: less than before, where the books were put back."""
        self.booked += position - file.booked
        file.booked = position

    @property
    def wants_spare(self) -> bool:
        """Whether a file should be made for when the current one is full."""
        return self._spare is None

    @property
    def files(self) -> Sequence[JournalFile]:
        """All files that are written to or not booked to their end, oldest first."""
        return [*self._sealed, self._current] if self._current else list(self._sealed)

    def append(self, settlement: Settlement) -> None:
        """Write a settlement down. When this returns, killing the process does not lose it.

        Never waits for a database. Raises `JournalFull` where neither the current file nor the next can take
        it; nothing that counts was written then.
        """
        frame = write_frame(settlement)
        trouble: OSError | None = None
        current = self._current
        if current is not None and current.size - current.end < len(frame):
            current = self._seal()
        while current is not None:
            try:
                current.write(frame, self.disk)
            except OSError as error:
                # Whatever is wrong with this file, the next has room that is paid for.
                trouble = error
                current = self._seal()
            else:
                self.written += len(frame)
                current.recent.add(settlement, current.end)
                return
        raise JournalFull("the journal has no room, or cannot be written") from trouble

    def make_spare(self) -> JournalFile:
        """Return a new file; blocks on the disk, so it runs in a thread. Raises `OSError`."""
        return make_file(self.folder, size=self._file_bytes, disk=self.disk)

    def provide(self, spare: JournalFile) -> None:
        """Take a new file to be written to after the current one."""
        if self._current is None:
            self._current = spare
        else:
            self._spare = spare

    @property
    def done(self) -> Sequence[JournalFile]:
        """The files that are booked to their end and not written to any more: they can be removed."""
        return [file for file in self._sealed if file.booked >= file.end and not file.is_in_use]

    def drop(self, file: JournalFile) -> None:
        """Forget a file that is removed and closed."""
        self._sealed.remove(file)

    def finish(self) -> None:
        """Write no more (`append` raises `JournalFull`): all files are to be booked and removed."""
        self._seal()
        self._seal()

    def close(self) -> None:
        """Close all files. What is not booked stays where it is, for whoever starts next."""
        for file in (*self.files, *([self._spare] if self._spare else [])):
            file.close()
        self._sealed.clear()
        self._current = self._spare = None

    def _seal(self) -> JournalFile | None:
        """Write to the current file no more; return the next, if there is one."""
        if self._current is not None:
            self._sealed.append(self._current)
        self._current, self._spare = self._spare, None
        return self._current
