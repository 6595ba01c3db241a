"""How a settlement lies in a journal file, and how a file is read that may be torn or damaged.

A frame is a marker of four bytes, the length of what follows, a CRC-32 of length and content, and the
content as JSON, which a person can read too. The marker begins with a byte that is in no UTF-8 text, so a
reader that has lost its way finds the next frame by looking for it.

A file is filled from the front, and what lies behind the last frame is either never written (zeros) or torn
(the beginning of a frame whose writer was killed). Nobody was told that a torn settlement was done. Bytes
that make no sense with a good frame behind them are something else: they were good once, and that is
reported.
"""

import struct
import zlib
from typing import Final

import msgspec

from router.ledger.settlement import Settlement

MARKER: Final = b"\xffSZ1"
_HEAD: Final = struct.Struct("<4sII")
_MOST_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = _HEAD.size
LONGEST_FRAME: Final = _HEAD_BYTES + _MOST_BYTES
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Settlement)


class Damage(msgspec.Struct, frozen=True):
    """Bytes `start` to `end` of a file, which are no frame although they lie before one."""

    start: int
    end: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: settlements, each with the byte where its frame ends, and what was not one.

    `end` is where the last frame ends, `torn` how many bytes behind it are not zero.
    """

    records: tuple[tuple[int, Settlement], ...]
    damage: tuple[Damage, ...]
    end: int
    torn: int


def write_frame(settlement: Settlement) -> bytes:
    """Return the frame of a settlement, some 350 bytes. Its texts are bounded, so it is never too long."""
    content = _encoder.encode(settlement)
    length = len(content).to_bytes(4, "little")
    checksum = zlib.crc32(content, zlib.crc32(length))
    return b"".join((MARKER, length, checksum.to_bytes(4, "little"), content))


def read_frames(data: bytes, *, start: int) -> Reading:
    """Read everything that lies in `data`, the bytes of a file from `start` on; positions are the file's."""
    records: list[tuple[int, Settlement]] = []
    damage: list[Damage] = []
    at = good = 0
    while at != -1:
        found = _frame_at(data, at)
        if found is None:
            at = data.find(MARKER, at + 1)
            continue
        size, settlement = found
        if at > good:
            damage.append(Damage(start + good, start + at))
        at = good = at + size
        if settlement is None:
            damage.append(Damage(start + at - size, start + at))
        else:
            records.append((start + at, settlement))
    torn = len(data[good:].rstrip(b"\0"))
    return Reading(records=tuple(records), damage=tuple(damage), end=start + good, torn=torn)


def _frame_at(data: bytes, at: int) -> tuple[int, Settlement | None] | None:
    """Return the size of the whole frame that begins here, and its settlement if it can be understood."""
    begin = at + _HEAD_BYTES
    if len(data) < begin:
        return None
    marker, length, checksum = _HEAD.unpack_from(data, at)
    if marker != MARKER or length > _MOST_BYTES:
        return None
    content = data[begin : begin + length]
    if len(content) != length:
        return None
    length_as_written = data[at + len(MARKER) : at + len(MARKER) + 4]
    if zlib.crc32(content, zlib.crc32(length_as_written)) != checksum:
        return None
    try:
        return _HEAD_BYTES + length, _decoder.decode(content)
    except msgspec.MsgspecError:
        return _HEAD_BYTES + length, None
