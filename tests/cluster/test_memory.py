from __future__ import annotations

from pathlib import Path

import pytest

from fedzmq.cluster.memory import WORKER_BYTES, check_room, free_bytes
from fedzmq.errors import ClusterError

MEMINFO = "MemTotal: 900 kB\nMemAvailable:   600 kB\nSwapFree:    40 kB\nHugePages_Total:   0\n"


def test_workers_that_fit_are_fine_and_so_are_those_of_whom_nobody_knows() -> None:
    check_room(3, 3 * WORKER_BYTES)
    check_room(10_000, None)


def test_more_than_fit_are_refused_with_how_many_do() -> None:
    with pytest.raises(ClusterError) as caught:
        check_room(2000, 20 << 30)

    assert str(caught.value).startswith("2000 workers take 293.0 GiB of memory and their data beside it, and 20.0 GiB")
    assert "136 have room" in str(caught.value)


def test_what_is_free_is_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO)

    assert free_bytes(tmp_path) == 640 << 10


@pytest.mark.parametrize(("limit", "free"), [("300000\n", 200_000), ("max\n", 640 << 10)])
def test_a_container_has_no_more_than_its_limit(tmp_path: Path, limit: str, free: int) -> None:
    group = tmp_path / "sys" / "fs" / "cgroup"
    for folder in (group, tmp_path / "proc"):
        folder.mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO)
    (group / "memory.max").write_text(limit)
    (group / "memory.current").write_text("100000\n")

    assert free_bytes(tmp_path) == free


def test_where_nothing_tells_it_nobody_knows(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
