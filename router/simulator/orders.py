"""Behaviours ordered by a header: the one place that no dialect reads and every client can set."""

from typing import Final

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.counts import SeenRequest
from router.simulator.refusal import Refusal, flaw_of

HEADER: Final = b"x-simulate"
_decoder: Final = msgspec.json.Decoder(Behaviour)


def behaviour_in_header(request: SeenRequest) -> Behaviour | None:
    """What the header orders, None without one; raises Refusal if it is wrong."""
    value = request.header(HEADER)
    if value is None:
        return None
    try:
        return _decoder.decode(value)
    except msgspec.ValidationError as error:
        flaw = flaw_of(error)
        told = f"The header x-simulate is wrong at '{flaw.path}': {flaw.what}."
        raise Refusal(400, told, param=HEADER.decode()) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = "The header x-simulate is not valid JSON."
        raise Refusal(400, told, param=HEADER.decode()) from error
