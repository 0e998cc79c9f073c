"""Whether two parties of a session can share memory, and a socket: each makes them for what it sends, and offers them.

Where an offer is not taken, for the other party is on another machine or of another user, everything travels as it does
without. Time is passed in, never read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn

from fedzmq.session.shared_memory import MAPPED, MemoryReader, MemoryWriter, Offer
from fedzmq.session.shared_socket import SocketReader, SocketWriter
from fedzmq.transports.connection import Buffer

AGAIN = 1.0  # seconds after which an offer that was not answered is made once more
MOST_OFFERS = 5
MOST_MAPPED = 4  # others whose memory is mapped, each way
_REFUSED, _TAKEN, _TAKEN_WITH_SOCKET = b"\0", b"\1", b"\2"


def attach_to_another(offer: Offer, mapped: int = MAPPED) -> MemoryReader:
    """Raises OSError where it is not to be had, and where there is no need: within a process memory is passed on."""
    if offer.process == os.getpid():
        raise OSError("this process has that memory itself")
    return MemoryReader(offer, mapped)


def _nothing(*offer: object) -> NoReturn:
    raise OSError("this party shares no memory")


class Sharing:
    """One party's part. `writer` is where it may put what it sends, and `reader` where what it receives lies.

    `make` and `attach` raise OSError where there is no such memory, and `listen`, to a socket, where there is none.
    """

    def __init__(
        self,
        make: Callable[[], MemoryWriter] = MemoryWriter,
        attach: Callable[[Offer], MemoryReader] = attach_to_another,
        listen: Callable[[bytes], SocketReader] = _nothing,
    ) -> None:
        self._make = make
        self._attach = attach
        self._listen = listen
        self._memory: MemoryWriter | None = None
        self._socket: SocketWriter | None = None
        self._ear: SocketReader | None = None
        self._offers = 0
        self._offered = float("-inf")
        self._is_wanted = False
        self._is_taken = False
        self.is_settled = False
        """The other side took it, or will not."""
        self._answer: bytes | None = None
        self.reader: MemoryReader | None = None
        self._source: Offer | None = None

    @classmethod
    def beside(cls, others: int, listen: Callable[[bytes], SocketReader]) -> Sharing:
        """That of a party which shares memory with so many others: it maps that of a few, and not that of hundreds."""
        mapped = MAPPED if others < MOST_MAPPED else 0
        return cls(partial(MemoryWriter, mapped=mapped), partial(attach_to_another, mapped=mapped), listen)

    @classmethod
    def none(cls) -> Sharing:
        """That of a party which offers nothing, and refuses what it is offered."""
        sharing = cls(_nothing, _nothing)
        sharing.is_settled = True
        return sharing

    @property
    def writer(self) -> MemoryWriter | None:
        return self._memory if self._is_taken else None

    @property
    def socket(self) -> SocketWriter | None:
        """By which packets reach the other side, past the medium."""
        return self._socket if self._is_taken else None

    def want(self) -> None:
        """There is something to send, now or soon."""
        self._is_wanted = not self.is_settled

    def offer(self, now: float) -> bytes | None:
        """The offer that is to be made now, if any."""
        if not self._is_wanted:
            return None
        self._is_wanted = False
        if now - self._offered < AGAIN:
            return None
        if self._offers >= MOST_OFFERS:
            self._give_up()
            return None
        if self._memory is None:
            try:
                self._memory = self._make()
            except OSError:
                self.is_settled = True
                return None
            with suppress(OSError):
                self._socket = SocketWriter(self._memory.offer.secret)
        self._offers += 1
        self._offered = now
        return self._memory.offer.encode()

    def answer(self) -> bytes | None:
        """The answer that is to be given now, if any."""
        answer, self._answer = self._answer, None
        return answer

    @property
    def has_work(self) -> bool:
        return self._is_wanted or self._answer is not None

    def was_offered(self, encoded: Buffer) -> None:
        """Raises ProtocolError."""
        offer = Offer.decode(encoded)
        if offer != self._source:
            try:
                reader = self._attach(offer)
            except OSError:
                self._answer = _REFUSED
                return
            self._let_go()
            self.reader, self._source = reader, offer
            with suppress(OSError):
                self._ear = self._listen(offer.secret)
        self._answer = _TAKEN if self._ear is None else _TAKEN_WITH_SOCKET

    def was_answered(self, answer: Buffer) -> None:
        """What answers nothing that was offered is dropped."""
        if self._memory is None or self._is_taken:
            return
        self._is_taken = bytes(answer) in (_TAKEN, _TAKEN_WITH_SOCKET)
        if not self._is_taken:
            self._give_up()
        elif bytes(answer) == _TAKEN or (self._socket is not None and not self._socket.accept()):
            self._close_socket()
        self.is_settled = True

    def close(self) -> None:
        """Twice is fine."""
        self._let_go()
        self._is_taken = False
        self._give_up()

    def _give_up(self) -> None:
        self.is_settled = True
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _let_go(self) -> None:
        if self.reader is not None:
            self.reader.close()
        if self._ear is not None:
            self._ear.close()
        self.reader = self._source = self._ear = None
