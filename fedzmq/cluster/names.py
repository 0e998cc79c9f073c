"""What workers are called where nobody says it."""

from __future__ import annotations

# The first two are the names of the tradition; more follow in the order of the alphabet.
_NAMES = ("bob", "alice", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj")


def worker_names(count: int) -> tuple[str, ...]:
    """bob, alice, and so on; numbers where the names run out."""
    return tuple(_NAMES[index] if index < len(_NAMES) else f"worker{index + 1}" for index in range(count))
