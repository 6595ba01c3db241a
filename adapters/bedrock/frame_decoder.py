"""AWS's binary event stream, taken apart by botocore's parser.

A frame has a prelude with its lengths, headers, a payload, and two checksums (CRC-32), which the parser
checks; after a frame that fails there is no way to find the next. Source: "Event stream encoding" in the
documentation of Amazon Transcribe, which describes it for all services.
"""

import struct
from typing import Final

from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]

from adapters.bedrock.frame import BrokenFrame, Frame

_UNREADABLE: Final = (ParserError, struct.error, KeyError, UnicodeDecodeError)


class FrameDecoder:
    """Turns the bytes of one stream into frames; an unfinished one at the end is never handed out."""

    def __init__(self) -> None:
        self._buffer = EventStreamBuffer()

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._buffer.add_data(data)

    def next_frame(self) -> Frame | None:
        """Return the next frame, `None` if it is not all there yet. Raises `BrokenFrame`."""
        try:
            message = next(self._buffer, None)
        except _UNREADABLE as error:
            raise BrokenFrame(f"The provider's stream cannot be read: {error}") from None
        if message is None:
            return None
        headers = {name: value for name, value in message.headers.items() if type(value) is str}
        kind = headers.get(":message-type", "event")
        if kind == "error":
            told = headers.get(":error-message", "").encode()
            return Frame(kind, headers.get(":error-code", ""), told)
        return Frame(kind, headers.get(f":{kind}-type", ""), message.payload)
