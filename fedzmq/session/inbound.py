"""The receiving half of a session: packets are put in order, told from their duplicates, and joined into messages.

What it may have to hold is bounded by the credit that it granted. Time is passed in, never read.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.session.outbound import PACKET_OVERHEAD
from fedzmq.session.packet import Packet
from fedzmq.session.shared_memory import NBYTES, STEPS, MemoryReader, Region
from fedzmq.transports.connection import Buffer

ACK_DELAY = 0.1  # seconds that an acknowledgement may wait for a packet that carries it; much less than a resend waits
ACK_PACKETS = 16  # packets after which it waits no longer


@dataclass(slots=True)
class _Assembly:
    """A message of which a part is here."""

    sizes: tuple[int, ...]
    frames: list[Buffer]
    cost: int = 0
    frame: int = 0
    offset: int = 0


class Inbound:
    """Messages from the other side, each once and in the order in which they were sent.

    `allocate` gives memory of so many bytes, of any content, for a frame that comes in parts, and raises MemoryError.
    """

    def __init__(self, window: int, most_bytes: int, allocate: Callable[[int], Buffer] = bytearray) -> None:
        self._window = window
        self._quarter = window // 4
        self._allocate = allocate
        self._most_bytes = most_bytes
        self._expected = 1
        self._early: dict[int, Packet] = {}
        self._early_bytes = 0
        self._assembly: _Assembly | None = None
        self._ready: deque[tuple[list[Buffer], int]] = deque()
        self._received = 0  # bytes of all packets that were joined
        self._released = 0  # of these, bytes that no longer weigh on this side
        self._limit = window
        self._told_limit = window
        self.reader: MemoryReader | None = None
        """Of the memory in which the other side puts what is large."""
        self._unsaid = 0  # packets whose arrival was not yet acknowledged
        self._unsaid_shared = 0  # bytes of these in shared memory, which the sender waits for
        self._unsaid_since = math.inf
        self.is_pressing = False
        """The sender should hear at once of what came, or of what became free."""

    @property
    def received(self) -> int:
        """Bytes that came, of whole messages or not."""
        return self._received

    @property
    def held(self) -> int:
        """Bytes of what came and was not taken yet, and of the memory for what is to come of it."""
        messages = [frames for frames, _ in self._ready]
        if self._assembly is not None:
            messages.append(self._assembly.frames)
        return self._early_bytes + sum(PACKET_OVERHEAD + sum(map(len, frames)) for frames in messages)

    def accept(self, packet: Packet, now: float) -> int:
        """Take a packet in, whatever its place, and say how many messages became complete by it.

        Raises ProtocolError when it cannot be a part of this stream.
        """
        if not self._unsaid:
            self._unsaid_since = now
        self._unsaid += 1
        if packet.region is not None:
            self._unsaid_shared += packet.region.nbytes
        if self._unsaid >= ACK_PACKETS or self._unsaid_shared >= NBYTES // STEPS:
            self.is_pressing = True
        number = packet.number
        if number != self._expected:
            self._set_aside(packet)
            return 0
        before = len(self._ready)
        self._join(packet)
        while self._early:
            following = self._early.pop(self._expected, None)
            if following is None:
                break
            self._early_bytes -= _cost(following)
            self._join(following)
        return len(self._ready) - before

    def accept_whole(self, number: int, parts: list[Buffer], now: float) -> bool:
        """Take in a message that came in one packet; False for one of which there is more to say than that it is next.

        That is for `accept`.
        """
        cost = PACKET_OVERHEAD + sum(map(len, parts))
        received = self._received + cost
        if number != self._expected or self._early or self._assembly is not None:
            return False
        if received > self._limit or cost > self._most_bytes:
            return False
        self._expected = number + 1
        self._received = received
        if not self._unsaid:
            self._unsaid_since = now
        self._unsaid += 1
        if self._unsaid >= ACK_PACKETS:
            self.is_pressing = True
        self._ready.append((parts, cost))
        return True

    def take(self) -> list[Buffer] | None:
        """The next complete message; its bytes become credit again."""
        if not self._ready:
            return None
        frames, cost = self._ready.popleft()
        if self._assembly is not None and not self._ready:
            cost += self._assembly.cost
            self._assembly.cost = 0
        self._release(cost)
        return frames

    def owes(self, now: float) -> bool:
        """An acknowledgement should go out now even if no packet goes that could carry it."""
        return self.is_pressing or now - self._unsaid_since >= ACK_DELAY

    def due(self) -> float:
        """When `owes` becomes true if nothing else happens; infinite where it never does."""
        return self._unsaid_since + ACK_DELAY

    def say(self) -> tuple[int, int]:
        """What a packet that goes out now says of what came: up to which number, and the sender's credit in bytes."""
        self._unsaid = self._unsaid_shared = 0
        self._unsaid_since = math.inf
        self.is_pressing = False
        self._told_limit = self._limit
        return self._expected - 1, self._limit

    def _set_aside(self, packet: Packet) -> None:
        """A packet that came before its turn, or once more."""
        if packet.number < self._expected or packet.number in self._early:
            self.is_pressing = True  # the sender may have missed an acknowledgement
            return
        cost = _cost(packet)
        if self._early_bytes + cost <= self._window:  # beyond it the sender has no credit; it will send again
            self._early[packet.number] = packet
            self._early_bytes += cost

    def _join(self, packet: Packet) -> None:
        cost = _cost(packet)
        self._expected += 1
        self._received += cost
        if self._received > self._limit:
            raise LimitExceeded("the number of bytes that were sent", self._received, self._limit)
        assembly = self._assembly
        if assembly is None:
            if not packet.sizes:
                raise ProtocolError("a packet continues a message that was not begun")
            total = sum(packet.sizes)
            if total > self._most_bytes:
                raise LimitExceeded("the size of a message in bytes", total, self._most_bytes)
            if PACKET_OVERHEAD + total == cost and tuple(map(len, packet.parts)) == packet.sizes:
                self._ready.append((list(packet.parts), cost))
                return
            assembly = self._assembly = _Assembly(packet.sizes, [])
        elif packet.sizes:
            raise ProtocolError("a packet begins a message inside another")
        if packet.region is not None:
            self._fetch(assembly, packet.region)
        for part in packet.parts:
            self._append(assembly, part)
        assembly.cost += cost
        if assembly.frame == len(assembly.sizes):
            self._assembly = None
            self._ready.append((assembly.frames, assembly.cost))
        elif not self._ready:
            # A message larger than the window could never become complete if its parts kept their credit. They give
            # it back as they come, but only while no finished message waits to be taken: that bounds what is held.
            self._release(assembly.cost)
            assembly.cost = 0

    def _append(self, assembly: _Assembly, part: Buffer) -> None:
        if assembly.frame >= len(assembly.sizes):
            raise ProtocolError("a packet holds more than its message")
        size, offset, length = assembly.sizes[assembly.frame], assembly.offset, len(part)
        if offset + length > size:
            raise ProtocolError("a packet holds more than its frame")
        if length == 0 and size:
            raise ProtocolError("a packet holds an empty part of a frame that is not empty")
        if length == size:
            assembly.frames.append(part)
        else:
            if offset == 0:
                assembly.frames.append(self._memory_for(size))
            whole = assembly.frames[-1]
            memoryview(whole)[offset : offset + length] = part
        if offset + length == size:
            assembly.frame, assembly.offset = assembly.frame + 1, 0
        else:
            assembly.offset = offset + length

    def _fetch(self, assembly: _Assembly, region: Region) -> None:
        """Read the next bytes of a message out of shared memory, to where they belong."""
        if self.reader is None:
            raise ProtocolError("a packet lies in memory that was never shared")
        left, buffers, sizes = region.nbytes, [], assembly.sizes
        while assembly.frame < len(sizes):
            size, offset = sizes[assembly.frame], assembly.offset
            if size and not left:
                break
            if offset == 0:
                assembly.frames.append(self._memory_for(size) if size else b"")
            take = min(size - offset, left)
            if take:
                buffers.append(memoryview(assembly.frames[-1])[offset : offset + take])
            left -= take
            assembly.offset = offset + take
            if assembly.offset == size:
                assembly.frame, assembly.offset = assembly.frame + 1, 0
        if left:
            raise ProtocolError("a packet holds more than its message")
        self.reader.read(region, buffers)

    def _memory_for(self, size: int) -> Buffer:
        try:
            return self._allocate(size)  # pages that nothing was written to yet cost no memory
        except MemoryError:
            raise LimitExceeded("the size of a frame in bytes", size, size - 1) from None

    def _release(self, cost: int) -> None:
        self._released += cost
        self._limit = self._released + self._window
        if self._limit - self._told_limit >= self._quarter:
            self.is_pressing = True


def _cost(packet: Packet) -> int:
    return PACKET_OVERHEAD + packet.size
