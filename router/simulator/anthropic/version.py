"""The versions of Anthropic's API, and what the newer one refuses that the older one takes.

Source: its API reference, "Versions", and the guide to migrating to 2026-10-21.
"""

from typing import Final

from router.simulator.anthropic.block_rules import blocks_of
from router.simulator.anthropic.blocks import DocumentBlock, TextBlock
from router.simulator.anthropic.error import invalid
from router.simulator.anthropic.fields import Prompt
from router.simulator.counts import SeenRequest

_NEWER: Final = b"2026-10-21"
_VERSIONS: Final = frozenset({b"2023-06-01", _NEWER})
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def version_of(request: SeenRequest) -> bytes:
    """The version that a request names; raises Refusal for none, and for one there is not."""
    version = request.header(b"anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if version not in _VERSIONS:
        told = version.decode("latin-1")
        raise invalid(f'anthropic-version: "{told}" is not a valid version')
    return version


def check_version(fields: Prompt, version: bytes) -> None:
    """Raise Refusal for what is no longer taken under this version."""
    if version != _NEWER:
        return
    for name in _SAMPLING:
        if getattr(fields, name, None) is not None:
            raise invalid(f"{name}: Extra inputs are not permitted")
    for number, message in enumerate(fields.messages):
        for place, block in enumerate(blocks_of(message)):
            where = f"messages.{number}.content.{place}"
            if message.role == "assistant" and isinstance(block, DocumentBlock):
                raise invalid(f"{where}: document blocks are not permitted in assistant messages")
            if message.role == "user" and isinstance(block, TextBlock) and block.citations:
                raise invalid(f"{where}.citations: citations are not permitted in user messages")
