"""A region as its writer fills it, and as a reader follows, who has mapped it before."""

import errno
import os
from pathlib import Path
from random import Random

import pytest

from limiter import own_region
from limiter.errors import DamagedRegion
from limiter.known_subject import digest_of
from limiter.own_region import OwnRegion, create_region
from limiter.region import ARRIVALS, DIRECTORY, FREE, LENGTH, MAGIC, OLD_DIRECTORY, Region
from limiter.row import CELLS, HIGH, IN_FLIGHT, LAST, LOW, ROW_WORDS, TOKENS, advance, mend

ORIGIN = 77


def digest(number: int) -> tuple[int, int]:
    return digest_of(f"key:{number}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "region-00"
    create_region(path, origin=ORIGIN, capacity=8)
    return path


def writer_of(path: Path, tenure: int = 1) -> OwnRegion:
    return OwnRegion(path, index=0, tenure=tenure, origin=ORIGIN)


def reader_of(path: Path) -> Region:
    return Region(path, index=0, tenure=1, origin=ORIGIN)


def test_a_reader_finds_every_row_while_the_directory_grows(path: Path) -> None:
    writer, reader = writer_of(path), reader_of(path)
    rows: dict[int, int] = {}
    directories = set()
    for number in range(300):
        rows[number] = writer.row_for(*digest(number), 5)
        advance(writer.words, rows[number], 5)
        directories.add(writer.words[DIRECTORY])
        for known in range(0, number + 1, 7):
            assert reader.row_of(*digest(known)) == rows[known]
        assert reader.row_of(*digest(number + 1)) == ~(number + 1)
    assert len(set(rows.values())) == 300
    assert len(directories) > 4
    writer.close()
    reader.close()


def test_the_next_holder_goes_on_where_a_copy_was_left(path: Path) -> None:
    writer = writer_of(path)
    number = 0
    while not writer.words[OLD_DIRECTORY] or writer.words[writer.words[DIRECTORY]] < 64:
        writer.row_for(*digest(number), 5)
        number += 1
    writer.close()
    second = writer_of(path, tenure=2)
    assert second.words[OLD_DIRECTORY]
    rows = [second.row_of(*digest(known)) for known in range(number)]
    for fresh in range(number, number + 40):
        second.row_for(*digest(fresh), 5)
    assert not second.words[OLD_DIRECTORY]
    assert [second.row_of(*digest(known)) for known in range(number)] == rows
    second.close()


def test_the_file_is_widened_under_a_reader(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_region, "FIRST_SIZE", 2048)
    monkeypatch.setattr(own_region, "CHUNK", 512)
    create_region(path, origin=ORIGIN, capacity=8)
    writer, reader = writer_of(path), reader_of(path)
    before = len(reader.words)
    rows = {number: writer.row_for(*digest(number), 5) for number in range(100)}
    for number, row in rows.items():
        writer.words[row + TOKENS] = number
    assert {number: reader.row_of(*digest(number)) for number in rows} == rows
    assert [reader.words[row + TOKENS] for row in rows.values()] == list(range(100))
    assert len(reader.words) > before
    assert writer.words[FREE] <= writer.words[LENGTH] <= len(writer.words)
    writer.close()
    reader.close()


def test_idle_rows_are_given_to_others_and_busy_ones_are_not(path: Path) -> None:
    writer, reader = writer_of(path), reader_of(path)
    rng = Random(3)
    busy = {number: writer.row_for(*digest(number), 0) for number in range(6)}
    for row in busy.values():
        writer.words[row + IN_FLIGHT] += 1
    high_water = 0
    for hour in range(1, 30):
        bucket = 3600 * hour
        for number in range(1000 * hour, 1000 * hour + 20):
            advance(writer.words, writer.row_for(*digest(number), bucket), bucket)
        for number in rng.sample(range(1000 * hour, 1000 * hour + 20), 5):
            assert reader.row_of(*digest(number)) == writer.row_of(*digest(number)) > 0
        if hour == 10:
            high_water = writer.words[FREE]
    assert writer.words[FREE] <= high_water + 20 * ROW_WORDS
    assert {number: reader.row_of(*digest(number)) for number in busy} == busy
    writer.close()
    reader.close()


def test_a_row_counts_as_idle_only_when_the_stalest_reader_has_forgotten_it(path: Path) -> None:
    writer = writer_of(path)
    row = writer.row_for(*digest(0), 100)
    advance(writer.words, row, 100)
    for number in range(1, 5):
        assert writer.row_for(*digest(number), 164) != row
        writer.words[writer.row_of(*digest(number)) + IN_FLIGHT] += 1
    assert writer.row_for(*digest(5), 165) == row
    assert writer.row_of(*digest(0)) < 0
    writer.close()


def test_a_recycled_row_is_empty_and_gives_itself_away(path: Path) -> None:
    writer, reader = writer_of(path), reader_of(path)
    row = writer.row_for(*digest(0), 100)
    advance(writer.words, row, 100)
    writer.words[row + CELLS + 2 * (100 % 64)] += 5
    assert reader.row_of(*digest(0)) == row
    for number in range(1, 3):
        if writer.row_for(*digest(number), 1000) == row:
            break
    assert (writer.words[row + HIGH], writer.words[row + LOW]) == digest(number)
    assert writer.words[row + LAST] == 0
    assert not any(writer.words[row + CELLS : row + ROW_WORDS].tolist())
    assert reader.row_of(*digest(0)) == ~writer.words[ARRIVALS]
    writer.close()
    reader.close()


def test_a_full_disk_is_an_error_and_leaves_the_region_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    number = 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        while writer.words[FREE] + ROW_WORDS <= writer.words[LENGTH]:
            writer.row_for(*digest(number), 5)
            number += 1
        with pytest.raises(OSError, match="no space left"):
            writer.row_for(*digest(number), 5)
    rows = [writer.row_of(*digest(known)) for known in range(number)]
    assert min(rows, default=1) > 0
    assert writer.row_of(*digest(number)) < 0
    assert writer.row_for(*digest(number), 5) > 0
    assert [writer.row_of(*digest(known)) for known in range(number)] == rows
    writer.close()


def test_a_row_left_halfway_by_a_dead_holder_is_mended(path: Path) -> None:
    writer = writer_of(path)
    row = writer.row_for(*digest(0), 100)
    advance(writer.words, row, 100)
    writer.words[row + CELLS + 2 * (100 % 64)] += 2
    writer.words[row + TOKENS] = 999  # announced, and never written to a cell
    writer.words[row + IN_FLIGHT] += 3
    writer.words[row + LAST] = 107  # and a cell that was not taken over
    writer.close()
    second = writer_of(path, tenure=2)
    assert second.row_for(*digest(0), 107) == row
    assert second.words[row + TOKENS] == 0
    assert second.words[row + IN_FLIGHT] == 2 << 32
    assert second.words[row + CELLS + 2 * (107 % 64)] == 107 << 32
    mended = second.words[row : row + ROW_WORDS].tolist()
    mend(second.words, row, 2)
    assert second.words[row : row + ROW_WORDS].tolist() == mended
    second.close()


@pytest.mark.parametrize(
    ("word", "value"),
    [(MAGIC, 1), (1, 78), (FREE, 1 << 40), (LENGTH, 1 << 40), (DIRECTORY, 0), (DIRECTORY, 70),
     (OLD_DIRECTORY, 1 << 50), (DIRECTORY, 1 << 50)],
)  # fmt: skip
def test_a_damaged_region_is_known_by_its_header(path: Path, word: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(8 * word)
        file.write(value.to_bytes(8, "little"))
    with pytest.raises(DamagedRegion):
        reader_of(path)


@pytest.mark.parametrize("size", [0, 5, 504, 512, 4088, 8193])
def test_a_region_cut_short_is_damaged(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(DamagedRegion):
        reader_of(path)
