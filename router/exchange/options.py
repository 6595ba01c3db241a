"""What a client may ask of the gateway itself, by header: how its one request is raced.

`x-syze-rescue: off` wants no other model to go on with a stream that breaks. `x-syze-hedge: off` wants no
second attempt beside one that is late; `on` wants it where the model has it off, and a number of seconds
sets when. A hedge is the operator's expense, so a key for which the operator has turned hedging off cannot
turn it on.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from router.errors import InvalidRequest

Hedging = bool | float
"""Whether to hedge, or after how many seconds an attempt is late."""

MOST_HEDGE_SECONDS: Final = 3600.0
_OFF: Final = "off"
_ON: Final = "on"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One request's options; `hedge` as `None` leaves it to the key, the model and the configuration."""

    rescue: bool = True
    hedge: Hedging | None = None


NO_OPTIONS: Final = Options()


def read_options(headers: Sequence[tuple[bytes, bytes]]) -> Options:
    """Read the options from a request's headers, names in lower case. Raises `InvalidRequest`."""
    rescue, hedge = True, None
    for name, value in headers:
        if name == b"x-syze-rescue":
            rescue = _text(value) != _OFF
        elif name == b"x-syze-hedge":
            hedge = _hedging(_text(value))
    return Options(rescue=rescue, hedge=hedge)


def hedging(
    *, asked: Hedging | None, key: bool | None, route: Hedging | None, general: bool
) -> Hedging:
    """Return what holds for a request: the narrowest wish, but never more than the key may have.

    A plain wish for hedging keeps the model's own time, if it has one.
    """
    if key is False:
        return False
    wish: Hedging = general
    if asked is not None:
        wish = asked
    elif key is not None:
        wish = key
    elif route is not None:
        wish = route
    if wish is True and route is not None and not isinstance(route, bool):
        return route
    return wish


def _hedging(text: str) -> Hedging:
    if text in {_ON, _OFF}:
        return text == _ON
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds <= MOST_HEDGE_SECONDS:
        raise InvalidRequest(
            "The header x-syze-hedge takes 'on', 'off' or a number of seconds, for example '0.8'.",
            code="invalid_header",
        )
    return seconds


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip().lower()
