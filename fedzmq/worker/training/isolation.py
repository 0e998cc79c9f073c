"""One task apart from all else in the process: torch's modes and random numbers are its own for as long as it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fedzmq.worker.modes import Modes
from fedzmq.worker.randomness import Randomness


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """The modes that torch begins with, and random numbers from this seed. Afterwards all is as it was."""
    modes, randomness = Modes("cpu"), Randomness()
    modes.enter()
    try:
        randomness.seed(seed)
        yield
    finally:
        randomness.leave()
        modes.leave()
