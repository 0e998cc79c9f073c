"""A hint to the C library's allocator, which otherwise hands memory back to the system after every large frame.

To get it again costs more than to receive a frame into it: the system clears each page.
"""

from __future__ import annotations

_LARGEST = (32 << 20) - (64 << 10)  # bytes; glibc learns from blocks up to 32 MiB


def keep_freed_memory() -> None:
    """From now on blocks of this process up to 32 MiB are reused when they were freed, up to 64 MiB of them.

    So it is after any program has freed one of that size: that raises the sizes from which glibc asks the system for a
    block, and at which it gives memory back. Other allocators take no notice. No memory is touched for it.
    """
    bytearray(_LARGEST)
