"""Random numbers that follow from what they are for, so that nothing depends on who asked first."""

from __future__ import annotations

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """A seed of 62 bits for one purpose, such as (seed, "train", round, worker): the same in every process."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
