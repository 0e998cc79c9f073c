"""How much memory this process may take from now on. The system refuses it more, and what asked for it fails alone.

Else a client that asks for a little too much has the system end the whole process, and the clients beside it lose
theirs. Systems other than Linux hold no process to it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that the machine, or the container that this is in, could give now; None where it does not say."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):  # "max" where nothing limits it
        most, current = ((_GROUP / name).read_text() for name in ("memory.max", "memory.current"))
        found.append(max(0, int(most) - int(current)))
    return min(found, default=None)


def limit_memory(nbytes: int) -> None:
    """Let this process take so many bytes beyond what it has. Files that are mapped to be read do not count."""
    if sys.platform != "linux":
        return
    import resource

    data = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    wanted = 1024 * int(data.split()[1]) + nbytes
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    soft = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
