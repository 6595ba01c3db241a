"""How much of a request's body is text: images and files in it weigh otherwise than by their bytes.

A picture travels as a JSON string of base64, often megabytes of it, and costs the model about as much as a
page of text. Counted as text it would take a whole minute's limit. So such payloads are found and left
out, and counted by the piece.

A string counts as a payload if it is the value of a member that carries files (`url` of an image, `data` of a
recording, `file_data`), is at least 2,048 bytes long, and is base64 wherever it is looked at. Base64
in any other place, such as in the middle of a message, is read by the model letter by letter and
stays text; so a client cannot hide text by its form. A picture given by a link is counted as its link.

The search looks at 64 bytes out of every 1,984 and then asks for the next quote, so its cost is that of
finding a byte in memory: half a millisecond for a picture of 20 MB.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_LEAST_BYTES: Final = 2048
_SAMPLE_BYTES: Final = 64
# Any run of base64 that is long enough covers a whole sample of those taken at this distance.
_STRIDE_BYTES: Final = _LEAST_BYTES - _SAMPLE_BYTES
# What may stand between the quote and the base64: `data:`, a media type, `;base64,`.
_PREAMBLE_BYTES: Final = 256
_SAMPLES: Final = 16

# The backslash is that of the escapes which some writers put into base64: `\/` and `\n`.
_is_base64: Final = re.compile(rb"[A-Za-z0-9+/=_\\-]{64}").match
_member_of_files: Final = re.compile(
    rb'"(?:(?:image_|video_|audio_|file_)?(?:url|data)|b64_json|bytes|base64|image|video|audio)"'
    rb"\s{0,8}:\s{0,8}\Z"
).search
_MEMBER_BYTES: Final = 32

_ESCAPE: Final = b"\\u"
_ESCAPE_EXCESS: Final = 3  # six bytes that stand for a letter of two or three


class PromptSize(msgspec.Struct, frozen=True, gc=False):
    """What a request gives the model to read: bytes of text, as UTF-8, and the number of payloads."""

    text_bytes: int
    payloads: int = 0


def measure_prompt(body: bytes) -> PromptSize:
    """Measure a JSON body. Linear in its length whatever it holds; anything that is no JSON is text."""
    if len(body) < _LEAST_BYTES:
        if b"\\" not in body:
            return PromptSize(len(body))
        return PromptSize(_text_bytes(body, 0, len(body)))
    text_bytes = payloads = text_start = 0
    for start, end in _payloads(body):
        text_bytes += _text_bytes(body, text_start, start)
        text_start = end
        payloads += 1
    return PromptSize(text_bytes + _text_bytes(body, text_start, len(body)), payloads)


def _text_bytes(body: bytes, start: int, end: int) -> int:
    """Return the length of a piece of the body as if no letter in it had been escaped by its number."""
    if body.find(b"\\", start, end) < 0:
        return end - start
    return end - start - _ESCAPE_EXCESS * body.count(_ESCAPE, start, end)


def _payloads(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each payload's string starts and ends, without its quotes, from left to right."""
    position = _STRIDE_BYTES
    while position < len(body):
        if _is_base64(body, position) and (found := _payload_at(body, position)):
            yield found
            position = found[1]
        position += _STRIDE_BYTES


def _payload_at(body: bytes, position: int) -> tuple[int, int] | None:
    """Return the string around a position if it is a payload."""
    nearest = max(0, position - _STRIDE_BYTES - _PREAMBLE_BYTES)
    quote = body.rfind(b'"', nearest, position)
    if quote < 0 or not _member_of_files(body, max(0, quote - _MEMBER_BYTES), quote):
        return None
    start = quote + 1
    comma = body.rfind(b",", start, min(position, start + _PREAMBLE_BYTES))
    base64_start = comma + 1 if comma >= 0 else start
    end = body.find(b'"', position)
    if end - base64_start < _LEAST_BYTES or not _all_base64(body, base64_start, end):
        return None
    return start, end


def _all_base64(body: bytes, start: int, end: int) -> bool:
    last = end - _SAMPLE_BYTES
    step = max(1, (last - start) // (_SAMPLES - 1))
    return all(_is_base64(body, sample) for sample in (*range(start, last, step), last))
