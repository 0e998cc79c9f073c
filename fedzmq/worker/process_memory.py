"""The memory of this process, as the system counts it: how much it has, and how much it may have.

Files that are mapped to be read do not count. Systems other than Linux hold no process to a limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

_STATISTICS = Path("/proc/self/statm")
_DATA = 5  # the place of what counts, in pages


def is_bounded() -> bool:
    """Whether this system holds a process to a limit."""
    return sys.platform == "linux"


class ProcessMemory:
    """Sizes in bytes."""

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._library = ctypes.CDLL(None)
        self._statistics = os.open(_STATISTICS, os.O_RDONLY)  # as long as the process: to open it costs five times more

    def taken(self) -> int:
        """What the process has, of which a part may be free for its own use."""
        return self._page * int(os.pread(self._statistics, 256, 0).split()[_DATA])

    def unused(self) -> int:
        """What the C library keeps of freed memory, 0 where it does not tell. Much of it in small pieces takes long."""
        count = getattr(self._library, "mallinfo2", None)
        if count is None:
            return 0
        count.restype = _Counts
        return int(count().fordblks)

    def give_back(self) -> None:
        """Let the system have what the C library keeps of freed memory, where it can."""
        with contextlib.suppress(AttributeError):
            self._library.malloc_trim(0)

    def limit(self, nbytes: int) -> None:
        """Have the system refuse this process more than so many bytes."""
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(
            resource.RLIMIT_DATA, (nbytes if most == resource.RLIM_INFINITY else min(nbytes, most), most)
        )


class _Counts(ctypes.Structure):
    """Of the C library's allocator, see mallinfo2(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]
