"""What makes room for what was kept last: whoever keeps most makes it, so that nobody takes the place of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")


def to_drop(kept: Mapping[Key, tuple[str, int]]) -> Key | None:
    """Of what is kept, oldest first, each with its client and size: the oldest of the client that keeps most.

    None where that is what was kept last.
    """
    sizes: Counter[str] = Counter()
    for client, size in kept.values():
        sizes[client] += size
    most = max(sizes, key=sizes.__getitem__)
    oldest = next(key for key, (client, _) in kept.items() if client == most)
    return None if oldest == next(reversed(list(kept))) else oldest
