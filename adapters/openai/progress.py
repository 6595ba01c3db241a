"""How far the choices of one stream have come.

Each choice begins once and ends once, whatever the upstream repeats, and the stream is whole when all
awaited choices have ended. An upstream may send fewer than were asked for; such a stream is whole only
by its `[DONE]`, since nothing else tells it from one that was cut.
"""

from adapters.openai.chunk import Choice, Mend
from adapters.openai.foreign import EMPTY


class Progress:
    """Which choices have begun and ended.

    `awaited`: how many the call asked for. `begun`: the first had begun before this stream did.
    """

    __slots__ = ("_awaited", "_ended", "_finished", "_is_chat")

    def __init__(self, *, is_chat: bool, awaited: int, begun: bool = False) -> None:
        self._is_chat = is_chat
        self._awaited = awaited
        # Those that have begun, each with whether it has ended.
        self._ended: dict[int, bool] = {0: False} if begun else {}
        self._finished = 0

    @property
    def complete(self) -> bool:
        """Whether every choice has given its finish reason."""
        return self._finished >= self._awaited and self._finished == len(self._ended)

    @property
    def open_choices(self) -> list[int]:
        """The choices that have begun and not ended, in order."""
        return sorted(index for index, ended in self._ended.items() if not ended)

    def note(self, choice: Choice) -> Mend | None:
        """Note what a chunk says of a choice; return what is to be mended in it, by the book."""
        index = choice.index or 0
        ended = self._ended.get(index)
        first = ended is None
        finished = choice.is_finished()
        deltaless = self._is_chat and choice.delta is None
        if not (first or finished or deltaless):
            return None
        roleless = self._is_chat and first and (choice.delta is None or choice.delta.role in EMPTY)
        told_before = finished and ended is True
        if finished and not ended:
            self._finished += 1
        self._ended[index] = finished or ended is True
        if deltaless or roleless or told_before:
            return Mend(role=roleless, delta=deltaless, finish=told_before)
        return None
