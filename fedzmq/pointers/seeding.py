"""Has what is drawn on workers follow `torch.manual_seed`, as what is drawn here does."""

from __future__ import annotations

import threading
from functools import wraps
from typing import Protocol
from weakref import WeakSet

import torch


class Draws(Protocol):
    """Where random numbers are drawn. `reseed` never waits, and has them begin anew from this seed, of 64 bits."""

    def reseed(self, seed: int) -> None: ...


class _Seeds:
    """One for a process, as torch has one generator for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing: WeakSet[Draws] = WeakSet()
        self._last: int | None = None

    def follow(self, stream: Draws) -> None:
        with self._lock:
            self._drawing.add(stream)
            last = self._last
        if last is not None:
            stream.reseed(last)

    def sow(self, seed: int) -> None:
        with self._lock:
            self._last = seed
            drawing = list(self._drawing)
        for each in drawing:
            each.reseed(seed)

    def forget(self) -> None:
        """Whoever comes later begins with no seed."""
        self._last = None


_SEEDS = _Seeds()
follow_seeds = _SEEDS.follow


def watch_seeds() -> None:
    """Have `torch.manual_seed` reach whoever follows, from now on; the last seed reaches whoever comes later."""
    local = torch.manual_seed

    @wraps(local)
    def manual_seed(seed: int) -> torch.Generator:
        generator = local(seed)
        given = generator.initial_seed()  # as torch takes it, from 0
        _SEEDS.sow(given if given < 2**63 else given - 2**64)
        return generator

    torch.manual_seed = torch.random.manual_seed = manual_seed
