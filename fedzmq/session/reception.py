"""What one publisher sends to many, as one of them receives it: a whole is here with the right hash, or is not here.

Chunks come in order or are lost, as on a topic. So whatever breaks the order is a loss, and known as one at once; what
is silent for too long is one as well. Time is passed in, never read.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fedzmq.session.chunk import Chunk
from fedzmq.transports.connection import Buffer

PATIENCE = 3.0  # seconds without a chunk after which what is waited for will not come
ACK_BYTES = 2 * 1024 * 1024  # after so many the publisher is told how far this side has come
ACK_INTERVAL = 0.25  # seconds after which it is told with the next chunk, on a slow link
_REMEMBERED = 8  # names of what was lost


class Fate(Enum):
    """What became of a whole."""

    HERE = "here"
    COMING = "coming"
    MISSING = "missing"


@dataclass(slots=True)
class _Assembly:
    """A whole of which a part is here."""

    name: bytes
    memory: memoryview
    filled: int = 0
    hash: Any = field(default_factory=hashlib.sha256)


class Reception:
    """One whole at a time: one that begins takes the place of the one before, complete or not.

    `may_begin` says whether there is a place for a whole of so many bytes, and `allocate` gives memory of any content,
    or raises MemoryError: without either it is missing. Any thread may call.
    """

    def __init__(
        self,
        allocate: Callable[[int], Buffer] = bytearray,
        may_begin: Callable[[int], bool] = lambda size: True,
    ) -> None:
        self._allocate = allocate
        self._may_begin = may_begin
        self._lock = threading.Lock()
        self._assembly: _Assembly | None = None
        self._whole: tuple[bytes, memoryview] | None = None
        self._lost: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._heard = float("-inf")  # when a chunk came last
        self._asked: tuple[bytes, float] | None = None  # what is waited for, and since when
        self._position = 0
        self._told = 0
        self._told_at = float("-inf")

    def is_receiving(self, now: float) -> bool:
        """A whole is half here, and may still become complete."""
        with self._lock:
            if self._assembly is not None and now - self._heard > PATIENCE:
                self._lose()
            return self._assembly is not None

    def accept(self, chunk: Chunk, now: float) -> None:
        """Take a chunk in."""
        may_begin = chunk.offset == 0 and self._may_begin(chunk.total)
        with self._lock:
            self._heard = now
            self._position = max(self._position, chunk.position + len(chunk.body))
            if chunk.offset == 0:
                self._begin(chunk, may_begin)
            assembly = self._assembly
            if assembly is None or (assembly.name, assembly.filled) != (chunk.name, chunk.offset):
                self._lose()
                self._forget(chunk.name)
                return
            if len(assembly.memory) != chunk.total:
                self._lose()
                return
            stop = chunk.offset + len(chunk.body)
            assembly.memory[chunk.offset : stop] = chunk.body
            assembly.hash.update(chunk.body)
            assembly.filled = stop
            if stop == chunk.total:
                self._complete(assembly)

    def fate(self, name: bytes, now: float) -> Fate:
        """What became of the whole of that name, which somebody waits for from now on."""
        with self._lock:
            if self._whole is not None and self._whole[0] == name:
                return Fate.HERE
            if name in self._lost:
                return Fate.MISSING
            if self._asked is None or self._asked[0] != name:
                self._asked = name, now
            if now - max(self._asked[1], self._heard) <= PATIENCE:
                return Fate.COMING
            if self._assembly is not None and self._assembly.name == name:
                self._lose()
            return Fate.MISSING

    def take(self, name: bytes) -> memoryview | None:
        """The whole of that name, which is the caller's from now on; None where it is not here."""
        with self._lock:
            self._asked = None
            if self._whole is None or self._whole[0] != name:
                return None
            (_, memory), self._whole = self._whole, None
            return memory

    def broke(self) -> None:
        """The medium was away: what was half here has a gap."""
        with self._lock:
            self._lose()

    def owes(self, now: float) -> int | None:
        """How far the stream has come, where its publisher should be told of that now."""
        with self._lock:
            new = self._position - self._told
            if not new or (new < ACK_BYTES and now - self._told_at < ACK_INTERVAL):
                return None
            self._told, self._told_at = self._position, now
            return self._position

    def _begin(self, chunk: Chunk, may_begin: bool) -> None:
        self._lose()
        self._whole = None
        if chunk.name in self._lost:
            self._lost.remove(chunk.name)
        if not may_begin:
            return
        try:
            self._assembly = _Assembly(chunk.name, memoryview(self._allocate(chunk.total)))
        except MemoryError:
            return

    def _complete(self, assembly: _Assembly) -> None:
        if assembly.hash.digest() != assembly.name:
            self._lose()
            return
        self._whole = assembly.name, assembly.memory
        self._assembly = None

    def _lose(self) -> None:
        if self._assembly is not None:
            self._forget(self._assembly.name)
            self._assembly = None

    def _forget(self, name: bytes) -> None:
        if name not in self._lost:
            self._lost.append(name)
