"""The beginning of a bridged answer, kept while its stream is relayed, in case the stream breaks.

Only an answer that is one text, and not yet at its end, can be gone on with. Once another part has begun, the
text has ended, or it outgrows its bound, there is no beginning any more and nothing is kept.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from adapters.dialect import Beginning, Usage
from adapters.middle.event import Grown, MiddleEvent, PartBegun, PartEnded, Stopped

MAX_TEXT_BYTES: Final = 1024 * 1024  # some 200,000 tokens, more than models write in one answer

_encode: Final = msgspec.json.encode


class TextKeeper:
    """Keeps the beginning of one stream."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._bytes = 0
        self._has_begun = False
        self._lost = False

    def note(self, event: MiddleEvent) -> None:
        """Note an event that is handed out."""
        if self._lost:
            return
        match event:
            case PartBegun(choice=0, kind="text") if not self._has_begun:
                self._has_begun = True
            case Grown():
                self._bytes += len(event.text.encode())
                self._pieces += [event.text] if event.text else []
                self._lost = self._bytes > MAX_TEXT_BYTES
            case PartBegun() | PartEnded() | Stopped():
                self._lost = True
        if self._lost:
            self._pieces.clear()

    def beginning(
        self, usage: Usage | None, members: Mapping[str, msgspec.Raw]
    ) -> Beginning | None:
        """Return what was handed out, if it is text to go on with; `usage` is what was told so far."""
        if not self._pieces:
            return None
        told = usage.output_tokens if usage is not None else 0
        return Beginning(
            text=msgspec.Raw(_encode("".join(self._pieces))),
            output_tokens=max(len(self._pieces), told),
            usage=usage,
            members=dict(members),
        )
