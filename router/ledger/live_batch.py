"""The next batch out of a file that is still written to.

Its writer lives in this process and knows where its last whole frame ends. Before that place there are only
frames, so anything else is damage, even behind the last readable frame.
"""

from typing import Final

from router.ledger.frame import LONGEST_FRAME, Damage, read_frames
from router.ledger.journal_file import JournalFile
from router.ledger.store import Batch

READ_BYTES: Final = 256 * 1024
"""How much of a file makes one batch: some seven hundred settlements."""


def next_batch(file: JournalFile, end: int) -> tuple[Batch, list[Damage]]:
    """Read on where the file is booked to, up to `end`, which its writer has reached; blocks on the disk.

    The batch always ends behind its start, so whoever goes on comes to the end.
    """
    start = file.booked
    wanted = min(end - start, READ_BYTES)
    data = file.read(start, start + wanted)
    reading = read_frames(data, start=start)
    damage = list(reading.damage)
    if start + len(data) >= end or len(data) < wanted:
        stop = end
    else:
        # What is left over may be a frame that our own reading has cut off; but only so much of it.
        stop = max(reading.end, start + wanted - LONGEST_FRAME)
    if reading.end < stop:
        damage.append(Damage(reading.end, stop))
    return Batch(file.id, start, stop, reading.records), damage
