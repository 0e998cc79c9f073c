"""What makes room for what was kept last: whoever keeps most makes it, so that nobody takes the place of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def by_client(kept: Iterable[tuple[str, int]]) -> Counter[str]:
    """What each client keeps together, of clients and sizes."""
    sizes: Counter[str] = Counter()
    for client, size in kept:
        sizes[client] += size
    return sizes


def to_drop(kept: Mapping[Key, tuple[str, int]]) -> Key | None:
    """Of what is kept, oldest first, each with its client and size: the oldest of the client that keeps most.

    None where that is what was kept last.
    """
    sizes = by_client(kept.values())
    most = max(sizes, key=sizes.__getitem__)
    oldest = next(key for key, (client, _) in kept.items() if client == most)
    return None if oldest == next(reversed(list(kept))) else oldest
