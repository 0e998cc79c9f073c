"""Whether this machine has room for so many workers. Those that have none take everything else down with them."""

from __future__ import annotations

import contextlib
from pathlib import Path

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
    """What processes can still have, swap too, within the limit of this container; None where nothing tells it."""
    free = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
        kib = {words[0]: int(words[1]) for words in lines}
        free = (kib["MemAvailable:"] + kib["SwapFree:"]) << 10
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: there is no limit
        group = root / "sys/fs/cgroup"
        left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        free = left if free is None else min(free, left)
    return free
