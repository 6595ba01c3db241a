"""Opening and leaving a shared table: who gets which region, and what is kept and what is written off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limiter.demand import Demand, Limits, Refusal
from limiter.errors import (
    DamagedRegion,
    FolderInUse,
    FolderOfOthers,
    NoFreeRegion,
    TableClosed,
    UnsupportedMachine,
)
from limiter.fence import orders_stores
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.table import Table

NOW = 1000.0
KEY = Demand(subject="key:a", limits=Limits(requests=10, tokens=100, concurrency=2), credit=50)


def take(table: Table, tokens: int = 10) -> LocalReservation:
    answer = LocalLimiter(table).reserve([KEY], tokens=tokens, credit=5, now=NOW)
    assert not isinstance(answer, Refusal)
    return answer


def use(table: Table) -> tuple[int, int, int, int]:
    standing = LocalLimiter(table).standing("key:a", now=NOW)
    return (
        standing.used_requests,
        standing.used_tokens,
        standing.in_flight,
        standing.held_credit,
    )


def index_of(table: Table) -> int:
    assert table.own is not None
    return table.own.index


def die(table: Table) -> None:
    """Let the region fall free as the kernel does it."""
    table._roster.let_go(index_of(table))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def overwritten(path: Path, word: int, value: int) -> Iterator[None]:
    with path.open("r+b") as file:
        file.seek(8 * word)
        file.write(value.to_bytes(8, "little"))
    yield


def test_each_worker_holds_a_region_of_its_own(tmp_path: Path) -> None:
    with Table.open(tmp_path) as first, Table.open(tmp_path) as second:
        assert (index_of(first), index_of(second)) == (0, 1)
        first.close()
        with Table.open(tmp_path) as third:
            assert index_of(third) == 0


def test_more_workers_than_regions_are_refused(tmp_path: Path) -> None:
    with Table.open(tmp_path, most_regions=2), Table.open(tmp_path, most_regions=2) as second:
        with pytest.raises(NoFreeRegion):
            Table.open(tmp_path, most_regions=2)
        second.close()
        Table.open(tmp_path, most_regions=2).close()


def test_those_who_were_there_before_see_a_newcomer(tmp_path: Path) -> None:
    with Table.open(tmp_path) as first:
        take(first)
        with Table.open(tmp_path) as second:
            take(second)
            assert use(first) == use(second) == (2, 20, 2, 10)


def test_a_restart_keeps_the_windows_and_ends_the_calls(tmp_path: Path) -> None:
    with Table.open(tmp_path) as other:
        with Table.open(tmp_path) as table:
            take(table)
        assert use(other) == (1, 10, 0, 0)
        with Table.open(tmp_path) as table:
            assert use(table) == (1, 10, 0, 0)
            take(table)
            assert use(other) == (2, 20, 1, 5)


def test_everybody_restarting_keeps_the_windows(tmp_path: Path) -> None:
    with Table.open(tmp_path) as one, Table.open(tmp_path) as two:
        take(one)
        take(two)
    with Table.open(tmp_path) as alone:
        assert use(alone) == (2, 20, 0, 0)
        assert alone.replaced == []


def test_the_calls_of_the_dead_are_written_off_by_whoever_comes_next(tmp_path: Path) -> None:
    with Table.open(tmp_path) as witness:
        first, second = Table.open(tmp_path), Table.open(tmp_path)
        take(first)
        take(second)
        die(first)
        die(second)
        assert use(witness) == (2, 20, 2, 10)
        with Table.open(tmp_path) as next_one:
            assert index_of(next_one) == index_of(first)
            assert use(witness) == use(next_one) == (2, 20, 0, 0)


def test_a_reservation_cannot_end_after_its_table_was_closed(tmp_path: Path) -> None:
    table = Table.open(tmp_path)
    reservation = take(table)
    table.close()
    table.close()
    with pytest.raises(TableClosed):
        reservation.settle(tokens=1, now=NOW)
    with pytest.raises(TableClosed):
        take(table)
    with pytest.raises(TableClosed):
        use(table)


def test_reading_takes_no_region_and_reserves_nothing(tmp_path: Path) -> None:
    with Table.open(tmp_path) as worker, Table.read_only(tmp_path) as reader:
        take(worker)
        assert use(reader) == (1, 10, 1, 5)
        with pytest.raises(TableClosed):
            take(reader)
        with Table.open(tmp_path) as second:
            assert index_of(second) == 1
            take(second)
            assert use(reader) == (2, 20, 2, 10)


def test_there_is_nothing_to_read_where_nobody_was(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Table.read_only(tmp_path)
    (tmp_path / "roster").touch()
    with pytest.raises(DamagedRegion):
        Table.read_only(tmp_path)


def test_other_buckets_begin_anew_but_not_while_somebody_serves(tmp_path: Path) -> None:
    with Table.open(tmp_path) as table:
        take(table)
        with pytest.raises(FolderInUse):
            Table.open(tmp_path, bucket_seconds=0.5)
        assert use(table) == (1, 10, 1, 5)
    with Table.open(tmp_path, bucket_seconds=0.5) as table:
        assert table.bucket_seconds == 0.5
        assert use(table) == (0, 0, 0, 0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["region-00", "roster"]


@pytest.mark.parametrize("word", [0, 2], ids=["another layout", "another boot"])
def test_a_roster_of_another_time_begins_anew(tmp_path: Path, word: int) -> None:
    with Table.open(tmp_path) as table:
        take(table)
    with (
        overwritten(tmp_path / "roster", word, 5),
        Table.read_only(tmp_path) as reader,
    ):
        assert use(reader) == (0, 0, 0, 0)
    with Table.open(tmp_path) as table:
        assert use(table) == (0, 0, 0, 0)
        take(table)


@pytest.mark.parametrize("index", [0, 1])
def test_a_damaged_region_is_replaced_and_told(tmp_path: Path, index: int) -> None:
    with Table.open(tmp_path) as one, Table.open(tmp_path) as two:
        take(one)
        take(two)
    with overwritten(tmp_path / f"region-{index:02}", 0, 5), Table.open(tmp_path) as table:
        assert table.replaced == [index]
        assert use(table) == (1, 10, 0, 0)
        take(table)


def test_a_missing_region_is_replaced_and_told(tmp_path: Path) -> None:
    Table.open(tmp_path).close()
    (tmp_path / "region-00").unlink()
    with Table.open(tmp_path) as table:
        assert table.replaced == [0]
        take(table)


def test_a_processor_that_reorders_stores_serves_one_worker(tmp_path: Path) -> None:
    assert orders_stores("x86_64")
    assert not orders_stores("aarch64")
    with Table.open(tmp_path, machine="aarch64") as table:
        take(table)
        with pytest.raises(UnsupportedMachine):
            Table.open(tmp_path, machine="aarch64")
        take(table)
    Table.open(tmp_path, machine="aarch64").close()


@pytest.mark.parametrize(
    "wrong", [{"bucket_seconds": 0.001}, {"most_regions": 0}, {"most_regions": 65}]
)
def test_figures_that_cannot_be_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no buckets"):
        Table.open(tmp_path, **wrong)  # type: ignore[arg-type]


def test_a_refused_opening_leaves_no_file_open(tmp_path: Path) -> None:
    with Table.open(tmp_path, most_regions=1):
        before = open_files()
        for _ in range(3):
            with pytest.raises(NoFreeRegion):
                Table.open(tmp_path, most_regions=1)
        assert open_files() == before
    with Table.open(tmp_path), Table.open(tmp_path):
        pass
    assert open_files() < before


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "counts"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(FolderOfOthers, match="others may write"):
        Table.open(folder)
    assert not list(folder.iterdir())


def test_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder = tmp_path / "counts"
    folder.symlink_to(elsewhere)
    with pytest.raises(FolderOfOthers):
        Table.open(folder)
