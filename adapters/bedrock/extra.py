"""What AWS's own library does for us, loaded when it is first needed.

Signatures and binary frames are botocore's matter: its signer and its parser open no socket. It is an
optional library, so the gateway runs without it as long as no provider of this dialect is configured;
whoever configures one calls `check_extra` first.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.bedrock.aws_key import AwsKey
    from adapters.bedrock.frame_decoder import FrameDecoder
    from adapters.bedrock.signer import Clock, Signer

_LIBRARY = "botocore"


class MissingExtra(Exception):
    """The optional library is not installed; the message says how to get it."""

    def __init__(self) -> None:
        super().__init__("Bedrock needs the extra 'bedrock': pip install 'syzeai[bedrock]'")


def check_extra() -> None:
    """Raise `MissingExtra` where botocore is not installed."""
    if find_spec(_LIBRARY) is None:
        raise MissingExtra


def make_signer(key: "AwsKey", *, region: str, origin: str, clock: "Clock") -> "Signer":
    """Return what signs the requests to one origin (see `adapters.bedrock.signer`). Raises `MissingExtra`."""
    check_extra()
    from adapters.bedrock.signer import Signer  # noqa: PLC0415 - an optional library

    return Signer(key, region=region, origin=origin, clock=clock)


def frame_decoder() -> "FrameDecoder":
    """Return a decoder of one stream's frames. Raises `MissingExtra`."""
    check_extra()
    from adapters.bedrock.frame_decoder import FrameDecoder  # noqa: PLC0415 - an optional library

    return FrameDecoder()
