"""What this gateway instance knows and the server does not yet: its running calls, and the notes to send.

The server is told how much this instance has running, never a difference: whatever message is lost, the next
one puts it right. Notes wait in a queue with an end. When the store is away for so long that it overflows,
the oldest are dropped and counted; what they would have given back stays counted until it expires.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from limiter.valkey.places import Part, Place
from limiter.valkey.reservation import Note


class Books:
    """Calls in flight and credit held by this instance alone, and its notes.

    `room`: notes kept at most. `noted` is called for each new one.
    """

    def __init__(self, room: int, noted: Callable[[], None]) -> None:
        self._noted = noted
        self.dropped = 0
        self.running: dict[str, tuple[int, int]] = {}
        self._owed: dict[str, int] = {}  # by subject, since somebody asked for it last
        self.notes: deque[Note] = deque()
        self._places: dict[str, Place] = {}
        self._room = room

    def begin(self, group: Iterable[Part], credit: int, *, calls: int = 1) -> None:
        """Count a call that begins; it holds `credit` where the subject's credit is counted.

        `calls`: 0 for one that runs already and only holds more.
        """
        for place, demand in group:
            in_flight, held = self.running.get(place.subject, (0, 0))
            added = 0 if demand.credit is None else credit
            self.running[place.subject] = (in_flight + calls, held + added)
            self._places[place.subject] = place

    def end(self, group: Iterable[Part], credit: int, *, owed: int = 0, calls: int = 1) -> None:
        """Count the end of what `begin` counted; of its credit, `owed` stays held as a debt."""
        for place, demand in group:
            subject = place.subject
            if demand.credit is None:
                self._move(subject, -calls, 0)
                continue
            self._move(subject, -calls, owed - credit)
            if owed:
                self._owed[subject] = self._owed.get(subject, 0) + owed

    def take_debts(self) -> "ValkeyDebts | None":
        """Return what calls owe that have ended since this was last asked; `None`: nothing."""
        if not self._owed:
            return None
        owed, self._owed = self._owed, {}
        return ValkeyDebts(self, owed)

    def free(self, subject: str, owed: int) -> None:
        """Hold so much less of a subject's credit, and have the server told of it."""
        place = self._places[subject]
        self._move(subject, 0, -owed)
        self.note(Note((place,)))

    def _move(self, subject: str, calls: int, credit: int) -> None:
        in_flight, held = self.running[subject]
        moved = (in_flight + calls, held + credit)
        if moved == (0, 0):
            del self.running[subject], self._places[subject]
        else:
            self.running[subject] = moved

    def note(self, note: Note) -> None:
        """Keep a note until it is sent."""
        if len(self.notes) == self._room:
            self.notes.popleft()
            self.dropped += 1
        self.notes.append(note)
        self._noted()

    def next_notes(self, count: int) -> list[Note]:
        """Take the oldest notes, `count` at most."""
        return [self.notes.popleft() for _ in range(min(count, len(self.notes)))]

    def note_all_running(self, *, apart: bool, size: int) -> None:
        """Note the gauges of all subjects with a call running, `size` in one note; `apart`: by tag."""
        groups: dict[str, list[Place]] = {}
        for place in self._places.values():
            groups.setdefault(place.tag if apart else "", []).append(place)
        for group in groups.values():
            for start in range(0, len(group), size):
                self.note(Note(group[start : start + size]))

    def figures(self, places: Sequence[Place]) -> list[int]:
        """Return calls in flight and credit held for each place, one after the other."""
        return [figure for place in places for figure in self.running.get(place.subject, (0, 0))]


class ValkeyDebts:
    """Some of the `Debts` in `books`: nano-dollars by subject. See `limiter.debts`."""

    def __init__(self, books: Books, by_subject: Mapping[str, int]) -> None:
        self._books = books
        self._by_subject = by_subject

    def paid(self) -> None:
        """Free them. See `Debts`."""
        by_subject, self._by_subject = self._by_subject, {}
        for subject, owed in by_subject.items():
            self._books.free(subject, owed)
