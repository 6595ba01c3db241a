"""Readings of `/proc`, from a made-up one, and the arithmetic between them."""

import os
from pathlib import Path

import pytest

from router.loadtest.measure import (
    Cpu,
    Memory,
    Probe,
    Reading,
    Window,
    between,
    cpu_of,
    descriptors_of,
    memory_of,
    process_tree,
)

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
# Fields 3 to 17 of proc_pid_stat(5); the last four are utime, stime, cutime and cstime.
STAT = "{pid} ({name}) S 1 1 1 0 -1 4194560 7 0 0 0 {utime} {stime} 77 88 20 0 1 0 9 9\n"
ROLLUP = (
    "55fc5f4d5000-7fff57cb9000 ---p 00000000 00:00 0      [rollup]\n"
    "Rss:               {rss} kB\n"
    "Pss:               {pss} kB\n"
    "Pss_Dirty:            1 kB\n"
)


def add_process(
    proc: Path, pid: int, *, name: str = "syze", ticks: tuple[int, int] = (0, 0)
) -> Path:
    folder = proc / str(pid)
    (folder / "task" / str(pid)).mkdir(parents=True)
    (folder / "task" / str(pid) / "children").write_text("")
    (folder / "fd").mkdir()
    stat = STAT.format(pid=pid, name=name, utime=ticks[0], stime=ticks[1])
    (folder / "stat").write_text(stat)
    (folder / "smaps_rollup").write_text(ROLLUP.format(rss=1000 + pid, pss=500 + pid))
    return folder


def test_cpu_time_is_the_sum_over_processes_in_microseconds(tmp_path: Path) -> None:
    add_process(tmp_path, 1, ticks=(100, 20))
    add_process(tmp_path, 2, ticks=(3, 4))
    assert cpu_of([1, 2], proc=tmp_path) == Cpu(103 * TICK_US, 24 * TICK_US)


@pytest.mark.parametrize("name", ["a b", "a) S 1 2 (b", ")"])
def test_a_process_may_have_any_name(tmp_path: Path, name: str) -> None:
    add_process(tmp_path, 1, name=name, ticks=(5, 6))
    assert cpu_of([1], proc=tmp_path) == Cpu(5 * TICK_US, 6 * TICK_US)


def test_a_process_that_is_gone_is_an_error_and_no_zero(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cpu_of([1], proc=tmp_path)
    with pytest.raises(FileNotFoundError):
        memory_of([1], proc=tmp_path)


def test_memory_is_the_sum_over_processes_in_bytes(tmp_path: Path) -> None:
    add_process(tmp_path, 1)
    add_process(tmp_path, 2)
    assert memory_of([1, 2], proc=tmp_path) == Memory(2003 * 1024, 1003 * 1024)


def test_a_process_without_memory_has_ended(tmp_path: Path) -> None:
    (add_process(tmp_path, 1) / "smaps_rollup").write_text("")
    with pytest.raises(ProcessLookupError, match="1"):
        memory_of([1], proc=tmp_path)


def test_a_tree_holds_the_children_of_every_thread(tmp_path: Path) -> None:
    top = add_process(tmp_path, 1)
    (top / "task" / "1" / "children").write_text("2 3 ")
    (top / "task" / "9").mkdir()
    (top / "task" / "9" / "children").write_text("4 ")
    child = add_process(tmp_path, 3)
    (child / "task" / "3" / "children").write_text("5 ")
    assert sorted(process_tree(1, proc=tmp_path)) == [1, 2, 3, 4, 5]


def test_descriptors_are_counted(tmp_path: Path) -> None:
    folder = add_process(tmp_path, 1)
    for number in range(4):
        (folder / "fd" / str(number)).touch()
    assert descriptors_of([1], proc=tmp_path) == 4


def test_a_probe_reads_each_role_for_itself(tmp_path: Path) -> None:
    add_process(tmp_path, 1, ticks=(10, 0))
    add_process(tmp_path, 2, ticks=(0, 20))
    reading = Probe({"gateway": [1], "load": [2]}, proc=tmp_path).read(7)
    assert reading.units == 7
    assert reading.cpu == {"gateway": Cpu(10 * TICK_US, 0), "load": Cpu(0, 20 * TICK_US)}


def test_this_process_can_be_measured() -> None:
    before = cpu_of([os.getpid()])
    while (spent := cpu_of([os.getpid()]).total_us - before.total_us) < TICK_US:
        sum(range(10_000))
    assert spent > 0
    assert memory_of([os.getpid()]).rss_bytes > 2**20
    assert descriptors_of([os.getpid()]) >= 3


def test_a_window_is_the_difference_of_two_readings() -> None:
    first = Reading(10.0, 100, {"gateway": Cpu(1_000_000, 500_000)})
    last = Reading(14.0, 2100, {"gateway": Cpu(2_500_000, 1_000_000)})
    window = between(first, last)
    assert window == Window(4.0, 2000, {"gateway": Cpu(1_500_000, 500_000)})
    assert window.per_second == 500.0
    assert window.cpu_us_per_unit("gateway") == 1000.0
    assert window.busy("gateway") == 0.5


def test_no_work_has_no_cost_per_unit() -> None:
    window = Window(1.0, 0, {"gateway": Cpu(1000, 0)})
    with pytest.raises(ZeroDivisionError):
        window.cpu_us_per_unit("gateway")
