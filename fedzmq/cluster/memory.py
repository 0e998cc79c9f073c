"""Whether this machine has room for so many workers. Those that have none take everything else down with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fedzmq.errors import ClusterError

WORKER_BYTES = 150 << 20  # of one worker alone, with torch and before its data, as measured
_GIB = 1 << 30


def check_room(workers: int, free: int | None) -> None:
    """Raises ClusterError where so many workers do not fit into the memory that is free; None where nobody knows."""
    needed = workers * WORKER_BYTES
    if free is None or needed <= free:
        return
    raise ClusterError(
        f"{workers} workers take {needed / _GIB:.1f} GiB of memory and their data beside it, and {free / _GIB:.1f} GiB "
        f"are free here: {free // WORKER_BYTES} have room; more can be on other machines, at one broker"
    )


def free_bytes(root: Path = Path("/")) -> int | None:
    """What processes can still have, swap too, within the limits of all groups that this one is in, as a container is;
    None where nothing tells it.
    """
    told = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
        kib = {words[0]: int(words[1]) for words in lines}
        told.append((kib["MemAvailable:"] + kib["SwapFree:"]) << 10)
    for kind, folder in _groups(root):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: there is no limit
            used = int((folder / kind.used).read_text()) - _reclaimable(folder / "memory.stat", kind.reclaimable)
            told.append(max(0, int((folder / kind.most).read_text()) - used))
    return min(told, default=None)


class _Kind(NamedTuple):
    """Where a version of the kernel's control groups has what is asked for: the folder, and the names of its files."""

    mount: str
    most: str
    used: str
    reclaimable: str


_FIRST = _Kind("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND = _Kind("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def _groups(root: Path) -> Iterator[tuple[_Kind, Path]]:
    """Those that this process is in, each within the next. A container sees its own as the outermost."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        kind = _FIRST if controllers else _SECOND
        group = PurePosixPath(path.lstrip("/"))
        for each in (group, *group.parents):
            yield kind, root / kind.mount / each


def _reclaimable(statistics: Path, name: str) -> int:
    """Bytes of files that the kernel keeps in memory for as long as nobody else needs it."""
    with contextlib.suppress(OSError, ValueError):
        for line in statistics.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
