"""How much memory a worker's clients make its process take together, and whether so little is left that one has to go.

What asks for too much at once the system refuses, and it fails alone. But what many small requests have filled leaves
nothing for the worker itself, and ZeroMQ ends a process in which it gets none. So the last part is kept for these.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

_LEAST_KEPT = 32 << 20  # bytes that are nobody's
_KEPT_SHARE = 8  # or one part of so many
_REST = 20  # times as long as an exact count takes, in which none is made


class Memory(Protocol):
    """See `fedzmq.worker.process_memory`."""

    def taken(self) -> int: ...

    def unused(self) -> int: ...

    def give_back(self) -> None: ...

    def limit(self, nbytes: int) -> None: ...


class Allowance:
    """Of `nbytes` beyond what the process has now."""

    def __init__(self, nbytes: int, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self.kept = max(_LEAST_KEPT, nbytes // _KEPT_SHARE)
        self._memory = memory
        self._clock = clock
        self._most = self._limit = memory.taken() + nbytes
        self._next_count = 0.0
        memory.limit(self._limit)

    def is_used_up(self) -> bool:
        """Whether clients have taken more than their part. To be asked after each message."""
        if self._memory.taken() > self._limit - self.kept:
            return self._count()
        return self._limit > self._most and self._clock() >= self._next_count and self._count()

    def extend(self) -> None:
        """From any thread, while something is run: where nearly nothing is left, let the process have more of what is
        nobody's.
        """
        taken = self._memory.taken()
        if taken > self._limit - self.kept // 2 and taken < self._most + self.kept:
            self._limit_to(taken + self.kept)

    def _count(self) -> bool:
        """What was freed and cannot be given back takes no memory, yet the system counts it: it may come atop."""
        began = self._clock()
        self._memory.give_back()
        taken, unused = self._memory.taken(), self._memory.unused()
        self._next_count = self._clock() + _REST * (self._clock() - began)
        if taken - unused > self._most - self.kept:
            return True
        self._limit_to(self._most if taken <= self._most - self.kept else self._most + unused)
        return False

    def _limit_to(self, limit: int) -> None:
        if limit != self._limit:
            self._limit = limit
            self._memory.limit(limit)
