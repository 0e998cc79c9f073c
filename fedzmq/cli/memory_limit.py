"""How much memory this process may take from now on. The system refuses it more, and what asked for it fails alone.

Else a client that asks for a little too much has the system end the whole process, and the clients beside it lose
theirs. Systems other than Linux hold no process to it.
"""

from __future__ import annotations

import sys
from pathlib import Path


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
