"""AWS's access keys, as an operator writes them where other providers have one word.

`ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or the same with `:SESSION_TOKEN` behind it. No part of them holds a colon,
and neither does a Bedrock API key, which is a bearer token and needs no signature.
"""

import re
from typing import Final

import msgspec

_ACCESS_KEY: Final = re.compile(r"[A-Z0-9]{16,128}")
_REGION: Final = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class AwsKey(msgspec.Struct, frozen=True):
    """An access key; `token` belongs to one that is good for a while only. No secret shows in its text."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"AwsKey({self.access_key!r})"


def read_aws_key(text: str) -> AwsKey | None:
    """Read an access key; `None` for any other text, which is a bearer token then."""
    access_key, _, rest = text.strip().partition(":")
    secret_key, _, token = rest.partition(":")
    if not secret_key or not _ACCESS_KEY.fullmatch(access_key):
        return None
    return AwsKey(access_key, secret_key, token or None)


def region_of(host: str) -> str | None:
    """Return the region that a host of Bedrock's names, `None` for a host that names none."""
    found = _REGION.search(host.lower())
    return found[1] if found else None
