"""All regions of a folder: the one this worker holds, and those of the others, which it reads.

A worker that opens the table takes the first region that nobody holds. If a worker held it before, stopped
or died, its windows go on where they were, and its running calls and their credit are written off. The same
is done at once for every other region that nobody holds: whoever starts cleans up after the dead.

A worker that comes later writes its tenure into the roster before it announces anything. Whoever looks at the
roster after his own announcement therefore either knows the newcomer, or is seen by him.

The folder belongs on a file system in memory (`/dev/shm` or `/run`): what it holds is worth nothing after a
boot, and a disk would only be written to.
"""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from limiter.errors import (
    DamagedRegion,
    FolderOfOthers,
    NoFreeRegion,
    TableClosed,
    UnsupportedMachine,
)
from limiter.fence import orders_stores
from limiter.own_region import FIRST_CAPACITY, OwnRegion, create_region
from limiter.region import Region, region_path
from limiter.roster import MOST_REGIONS, Roster
from limiter.window import BUCKET_SECONDS

LEAST_BUCKET_SECONDS: Final = (
    0.01  # 31 bits of buckets last 248 days then, and 68 years at a second
)


class Table:
    """The shared table of one folder, as one worker has it. Belongs to one thread.

    `own` is the region this worker holds, `None` where the table is read only. `others` are the regions it
    reads; the list is replaced, and `version` raised, when a worker comes. `replaced` are the regions that
    were found damaged at opening and began anew, with empty windows.
    """

    def __init__(
        self, folder: Path, roster: Roster, *, first_capacity: int = FIRST_CAPACITY
    ) -> None:
        self.folder = folder
        self.bucket_seconds = roster.bucket_seconds
        self.own: OwnRegion | None = None
        self.others: list[Region] = []
        self.version = 0
        self.replaced: list[int] = []
        self._roster = roster
        self._first_capacity = first_capacity
        self._seen = b""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        bucket_seconds: float = BUCKET_SECONDS,
        most_regions: int = MOST_REGIONS,
        first_capacity: int = FIRST_CAPACITY,
        machine: str | None = None,
    ) -> Self:
        """Take a region of `folder`, which is made if need be.

        `first_capacity`: the slots of a new region's directory, a power of two. `machine`: the processor, as
        `platform.machine` names it; this one by default.

        Raises `NoFreeRegion`, `FolderInUse`, `FolderOfOthers`, `UnsupportedMachine`, `OSError` (a full
        disk, say), and `ValueError` for buckets shorter than 10 ms or more regions than there can be.
        Blocks while another worker opens its table, which takes milliseconds.
        """
        if bucket_seconds < LEAST_BUCKET_SECONDS or not 0 < most_regions <= MOST_REGIONS:
            raise ValueError(f"no buckets of {bucket_seconds} s, or no {most_regions} regions")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
        roster = Roster(folder, writable=True)
        table: Self | None = None
        try:
            with roster.setup():
                if not roster.is_of(bucket_seconds):
                    roster.start_anew(bucket_seconds)
                    for left in folder.glob("region-*"):
                        left.unlink()
                table = cls(folder, roster, first_capacity=first_capacity)
                table._claim(most_regions, alone=not orders_stores(machine))
            table.look()
        except BaseException:
            (table or roster).close()
            raise
        return table

    @classmethod
    def read_only(cls, folder: Path) -> Self:
        """Read the table of `folder` without a part in it: nothing can be reserved.

        Raises `FileNotFoundError` if there is none, and `DamagedRegion`. One of another boot reads as empty.
        """
        table = cls(folder, Roster(folder, writable=False))
        try:
            table.look()
        except BaseException:
            table.close()
            raise
        return table

    def _claim(self, most_regions: int, *, alone: bool) -> None:
        free = [index for index in range(MOST_REGIONS) if self._roster.hold(index)]
        if alone and len(free) < MOST_REGIONS:
            raise UnsupportedMachine(
                "this processor's memory order allows one worker per folder only"
            )
        if not free or free[0] >= most_regions:
            raise NoFreeRegion(f"all {most_regions} regions of {self.folder} are held by workers")
        for index in free[1:]:
            if self._roster.tenure(index):
                self._write_off(index)
            self._roster.let_go(index)
        self.own = self._take(free[0])

    def _write_off(self, index: int) -> None:
        """End the calls of a region that nobody holds, and replace it if it is damaged."""
        try:
            Region(
                region_path(self.folder, index), index=index, tenure=0, origin=self._roster.origin
            ).close()
        except (DamagedRegion, FileNotFoundError):
            self._replace(index)
        self._roster.begin_tenure(index)

    def _take(self, index: int) -> OwnRegion:
        origin = self._roster.origin
        path = region_path(self.folder, index)
        tenure = self._roster.tenure(index) + 1
        try:
            own = OwnRegion(path, index=index, tenure=tenure, origin=origin)
        except (DamagedRegion, FileNotFoundError):
            self._replace(index)
            own = OwnRegion(path, index=index, tenure=tenure, origin=origin)
        self._roster.begin_tenure(index)
        return own

    def _replace(self, index: int) -> None:
        if self._roster.tenure(index):
            self.replaced.append(index)
        create_region(
            region_path(self.folder, index),
            origin=self._roster.origin,
            capacity=self._first_capacity,
        )

    @property
    def places(self) -> list[Region | None]:
        """All regions that are read: in the first place ours, `None` if we hold none."""
        return [self.own, *self.others]

    def look(self) -> None:
        """See who is there. Cheap while nobody has come. Raises `TableClosed`, `OSError`, `DamagedRegion`."""
        if self._roster.closed:
            raise TableClosed("the table was closed")
        seen = self._roster.snapshot()
        if seen != self._seen:
            self._meet()
            self._seen = seen

    def _meet(self) -> None:
        """Map the regions whose tenure has changed, and only those.

        A region is mapped only after its tenure was read, so what is mapped is at least as new; if it is
        newer, the next look finds that the tenure has changed again.
        """
        tenures = self._tenures()
        same = {
            region.index: region
            for region in self.others
            if tenures.get(region.index) == region.tenure
        }
        fresh: dict[int, Region] = {}
        try:
            for index in tenures.keys() - same.keys():
                path = region_path(self.folder, index)
                fresh[index] = Region(
                    path, index=index, tenure=tenures[index], origin=self._roster.origin
                )
        except BaseException:
            for region in fresh.values():
                region.close()
            raise
        for region in self.others:
            if region.index not in same:
                region.close()
        self.others = [*same.values(), *fresh.values()]
        self.version += 1

    def _tenures(self) -> dict[int, int]:
        """The tenures of all regions that are not ours."""
        if not self._roster.is_current():
            return {}
        tenures = {index: self._roster.tenure(index) for index in range(MOST_REGIONS)}
        return {
            index: tenure
            for index, tenure in tenures.items()
            if tenure and not (self.own and self.own.index == index)
        }

    def close(self) -> None:
        """Leave the table: the region falls free, and calls that still run are written off.

        A second time does nothing.
        """
        if self._roster.closed:
            return
        if self.own:
            self._roster.begin_tenure(self.own.index)
            self._roster.let_go(self.own.index)
            self.own.close()
        for region in self.others:
            region.close()
        self.others = []
        self._roster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check_private(folder: Path) -> None:
    """Raise `FolderOfOthers` unless the folder is ours alone to write to.

    It often lies where everybody may make folders, and under a name that can be foreseen.
    """
    found = folder.lstat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or others_write:
        raise FolderOfOthers(
            f"the folder {folder} belongs to somebody else, or others may write to it"
        )
