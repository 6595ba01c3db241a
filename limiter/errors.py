"""What can go wrong with the shared table. A limit that is reached is an answer, not an error."""


class TableError(RuntimeError):
    """The shared table cannot serve. The subclasses say why."""


class StaleTime(TableError):
    """`now` lies so far behind what other workers have written that their older use is overwritten by now.

    It takes a pause of seconds between reading the clock and deciding. Nothing was taken: read the clock
    again and ask again.
    """


class NoFreeRegion(TableError):
    """As many workers as there may be hold a region of this folder."""


class FolderInUse(TableError):
    """Running workers use the folder with another layout, another boot or another length of bucket."""


class FolderOfOthers(TableError):
    """Somebody else owns the folder or may write to it, and could change what was counted."""


class DamagedRegion(TableError):
    """A worker's file is not what its header says, or has no header. Opening the folder anew replaces it."""


class UnsupportedMachine(TableError):
    """Several workers would need a memory order that this machine's processor does not promise."""


class TableClosed(TableError):
    """The table was closed, or is read only, and cannot take or give back anything."""
