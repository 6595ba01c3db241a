"""Where the ends of requests are written down, as those see it who let requests in and settle them."""

from typing import Protocol

from router.ledger.settlement import Settlement


class Notebook(Protocol):
    """A journal (`router.ledger.journal.Journal`)."""

    @property
    def accepts(self) -> bool:
        """Whether a new request may be let in: its end will find room."""

    @property
    def written(self) -> int:
        """How far it is written to; grows with every settlement."""

    def append(self, settlement: Settlement) -> None:
        """Write one down, durably. Raises `JournalFull`."""
