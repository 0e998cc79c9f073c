"""Descriptors that a connection reads beside its mail."""

from __future__ import annotations

import select
from collections import deque

from fedzmq.transports.connection import Delivery, Read


class Watched:
    """They are waited for by `poll`, whose owner says which of them can be read. Whoever calls holds its lock."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._reads: dict[int, Read] = {}
        self._readable: deque[int] = deque()

    @property
    def needs_look(self) -> bool:
        """Something may be here that nobody has noticed yet."""
        return bool(self._reads) and not self._readable

    def add(self, descriptor: int, read: Read) -> None:
        self._reads[descriptor] = read
        self._poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        """Fine where it was never watched."""
        if descriptor in self._reads:
            self._poll.unregister(descriptor)  # first: an interrupt in between must leave none that fires for ever
            del self._reads[descriptor]

    def fired(self, descriptor: int) -> bool:
        """It can be read; False where it is none of these."""
        if descriptor not in self._reads:
            return False
        self._readable.append(descriptor)
        return True

    def take(self) -> Delivery | None:
        """What can be read: of each once, then of each once more."""
        while self._readable:
            descriptor = self._readable.popleft()
            read = self._reads.get(descriptor)
            try:
                delivery = None if read is None else read()
            except EOFError:
                self.forget(descriptor)
                continue
            if delivery is not None:
                return delivery
        return None
