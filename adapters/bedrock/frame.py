"""One message of AWS's binary event stream, apart from how it is decoded (see `frame_decoder`)."""

import msgspec


class BrokenFrame(Exception):
    """Bytes that are no frame; nothing behind them can be read."""


class Frame(msgspec.Struct, frozen=True):
    """One message. `kind` is `event`, `exception` or `error`; `name` says which, `told` what is told with it.

    `told` is JSON of an event or an exception, and plain text of an error.
    """

    kind: str
    name: str
    told: bytes
