"""What this gateway instance knows and the server does not yet: its running calls, and the notes to send.

The server is told how much this instance has running, never a difference: whatever message is lost, the next
one puts it right. Notes wait in a queue with an end. When the store is away for so long that it overflows,
the oldest are dropped and counted; what they would have given back stays counted until it expires.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

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
        """Count the end of what `begin` counted; of its credit, `owed` stays held."""
        self._move(group, -calls, owed - credit)

    def paid(self, group: Iterable[Part], owed: int) -> None:
        """Free what was owed for a call that has ended."""
        self._move(group, 0, -owed)

    def _move(self, group: Iterable[Part], calls: int, credit: int) -> None:
        for place, demand in group:
            in_flight, held = self.running[place.subject]
            moved = (in_flight + calls, held + (0 if demand.credit is None else credit))
            if moved == (0, 0):
                del self.running[place.subject], self._places[place.subject]
            else:
                self.running[place.subject] = moved

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
