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


def group(root: Path, place: str, **files: str) -> None:
    """A control group; the names of its files without their `memory.`."""
    folder = root / "sys" / "fs" / "cgroup" / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")


def machine(root: Path, member: str) -> Path:
    """`member` is what the kernel says of the groups that the process is in."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "meminfo").write_text(MEMINFO)
    (root / "proc" / "self" / "cgroup").write_text(member)
    return root


@pytest.mark.parametrize(("limit", "free"), [("300000", 200_000), ("max", 640 << 10)])
def test_a_container_has_no_more_than_its_limit(tmp_path: Path, limit: str, free: int) -> None:
    group(machine(tmp_path, "0::/\n"), "", max=limit, current="100000")

    assert free_bytes(tmp_path) == free


def test_of_groups_within_each_other_the_tightest_counts(tmp_path: Path) -> None:
    machine(tmp_path, "0::/user.slice/session.scope\n")
    group(tmp_path, "user.slice/session.scope", max="max", current="50000")
    group(tmp_path, "user.slice", max="300000", current="100000")
    group(tmp_path, "", max="900000", current="100000")

    assert free_bytes(tmp_path) == 200_000


@pytest.mark.parametrize("place", ["memory/docker/1f", "memory"])  # a container may see its own as the outermost
def test_groups_of_the_first_version_count_too(tmp_path: Path, place: str) -> None:
    machine(tmp_path, "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n0::/\n")
    group(tmp_path, place, limit_in_bytes="300000", usage_in_bytes="100000")

    assert free_bytes(tmp_path) == 200_000


@pytest.mark.parametrize(
    ("member", "files"),
    [
        ("0::/\n", {"max": "300000", "current": "280000", "stat": "anon 1\ninactive_file 50000"}),
        ("4:memory:/\n", {"limit_in_bytes": "300000", "usage_in_bytes": "280000", "stat": "total_inactive_file 50000"}),
    ],
)
def test_files_that_the_kernel_keeps_for_later_take_no_room(tmp_path: Path, member: str, files: dict[str, str]) -> None:
    group(machine(tmp_path, member), "memory" if "limit_in_bytes" in files else "", **files)

    assert free_bytes(tmp_path) == 70_000


def test_a_group_that_has_more_than_its_limit_has_nothing_free(tmp_path: Path) -> None:
    group(machine(tmp_path, "0::/\n"), "", max="100", current="200")

    assert free_bytes(tmp_path) == 0


def test_where_nothing_tells_it_nobody_knows(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
