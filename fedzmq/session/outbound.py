"""The sending half of a session: messages are cut into numbered packets, kept until acknowledged, and sent again.

Time is passed in, never read. No byte leaves without the receiver's credit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedzmq.session.packet import INLINE_BYTES
from fedzmq.session.shared_memory import MemoryWriter, Region
from fedzmq.transports.connection import Buffer

CHUNK_BYTES = 512 * 1024  # one part of a packet; complete messages alone keep a slow link's heartbeats alive
MOST_CHUNK_BYTES = 1024 * 1024  # on a link that has shown that it carries such a one within FAST
FAST = 0.5  # seconds
SLIVER_BYTES = 64 * 1024  # so few bytes at the end of a message travel with the chunk before them
PACKET_OVERHEAD = 64  # what a packet costs of the credit beside its parts, so that empty ones are not free
FIRST_TIMEOUT = 1.0  # seconds, before any answer was measured
SHORTEST_TIMEOUT = 0.5
LONGEST_TIMEOUT = 5.0
AT_ONCE = 0.01
SHARED_BYTES = INLINE_BYTES + 1  # of a message that goes by shared memory, where there is some: it fits no frame
RESEND_BYTES = 4 * 1024 * 1024  # at most so much is sent again at once: the first of them may be all that was lost

Cut = tuple[int, tuple[int, ...], Sequence[Buffer], Region | None]  # number, sizes, parts and region of a packet


@dataclass(slots=True)
class Piece:
    """A packet's content, from its first sending until it is acknowledged."""

    number: int
    sizes: tuple[int, ...]
    parts: Sequence[Buffer]
    cost: int
    first_sent: float
    region: Region | None = None
    resent: bool = False

    @property
    def content(self) -> Cut:
        return self.number, self.sizes, self.parts, self.region


@dataclass(slots=True)
class Ticket:
    """A message on its way: `left` is true once the session no longer needs the caller's memory."""

    frames: list[Buffer]
    donated: bool
    lent: bool
    left: bool = False
    rest: int = 0  # bytes that were not cut yet
    frame: int = 0  # where cutting goes on: which frame, and how many of its bytes are gone
    offset: int = 0
    begun: bool = False


class Outbound:
    """Messages that are to reach the other side, each exactly once and in this order."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._chunk = CHUNK_BYTES
        self._limit = window
        self._sent = 0  # bytes of credit used
        self._next = 1
        self._waiting: deque[Ticket] = deque()
        self._unacknowledged: deque[Piece] = deque()
        self._timeout = FIRST_TIMEOUT
        self._round_trip: float | None = None
        self._deviation = 0.0
        self._timer = math.inf  # when the oldest unacknowledged piece is due again
        self.writer: MemoryWriter | None = None
        """Of the memory out of which the other side reads what is large."""

    @property
    def idle(self) -> bool:
        """Nothing is waiting and everything was acknowledged."""
        return not self._waiting and not self._unacknowledged

    @property
    def owed(self) -> int:
        """Bytes that have not arrived yet, as far as this side knows."""
        under_way = sum(piece.cost for piece in self._unacknowledged)
        return under_way + sum(ticket.rest for ticket in self._waiting)

    def has_work(self, now: float) -> bool:
        """`flow` may have something to give."""
        return bool(self._waiting) or now >= self._timer

    def whole(self, frames: Sequence[Buffer], now: float, *, donate: bool) -> Piece | None:
        """A small message that can go at once, in one packet; None for any other, and that is to be submitted."""
        sizes = tuple(map(len, frames))
        size = sum(sizes)
        cost = PACKET_OVERHEAD + size
        if size > INLINE_BYTES or self._sent + cost > self._limit or self._waiting or now >= self._timer:
            return None
        parts = frames if donate else [frame if type(frame) is bytes else bytes(frame) for frame in frames]
        return self._begin(sizes, parts, cost, now)

    def submit(self, frames: Sequence[Buffer], *, donate: bool, lend: bool = False) -> Ticket:
        """Queue one message. Without `donate`, the caller's memory must stay as it is until the ticket has left.

        With `lend` it stays in use for longer, and less of it is copied: the caller waits for the ticket, and for that
        alone, before it goes on.
        """
        ticket = Ticket(list(frames), donate, lend, rest=sum(map(len, frames)))
        self._waiting.append(ticket)
        return ticket

    def detach(self, ticket: Ticket) -> None:
        """Copy what is still needed of the caller's memory: the ticket has left.

        Of one that was lent, the transport may hold what it was given last for a moment longer.
        """
        for index in range(ticket.frame, len(ticket.frames)):
            whole = ticket.frames[index]
            if type(whole) is not bytes:
                ticket.frames[index] = bytes(memoryview(whole)[ticket.offset if index == ticket.frame else 0 :])
                if index == ticket.frame:
                    ticket.offset = 0
        if ticket.lent:
            for piece in self._unacknowledged:
                piece.parts = [part if type(part) is bytes else bytes(part) for part in piece.parts]
        ticket.left = True

    def flow(self, now: float) -> Iterator[Cut]:
        """What is to be sent now: packets that are due again, then those never sent."""
        if now >= self._timer:
            self._timeout = min(self._timeout * 2, LONGEST_TIMEOUT)
            self._chunk = CHUNK_BYTES
            yield from self._again(now)
        while self._waiting:
            piece = self._cut(self._waiting[0], now)
            if piece is None:
                break
            yield piece.content

    def heard(self, ack: int, limit: int, now: float) -> None:
        """Everything up to `ack` arrived there, and `limit` bytes in all may be sent."""
        if limit > self._limit:
            self._limit = limit
        pieces = self._unacknowledged
        if not pieces or ack < pieces[0].number or ack >= self._next:
            return  # nothing new, or what was never sent: that is not from an honest peer, and of no use
        while pieces and pieces[0].number <= ack:
            piece = pieces.popleft()
            if piece.region is not None and self.writer is not None:
                self.writer.free()
            if piece.cost > CHUNK_BYTES and not piece.resent:
                self._chunk = MOST_CHUNK_BYTES if now - piece.first_sent < FAST else CHUNK_BYTES
        # An answer to a repeated packet says nothing about time (Karn and Partridge 1987), and one that came at once
        # nothing new where the timeout is at its shortest.
        sample = now - piece.first_sent
        if not piece.resent and (sample > AT_ONCE or self._timeout > SHORTEST_TIMEOUT):
            self._measure(sample)
        self._timer = now + self._timeout if pieces or self._waiting else math.inf

    def hurry(self, now: float) -> None:
        """Send everything unacknowledged again at once: what was under way is likely lost."""
        if self._unacknowledged or self._waiting:
            self._timeout = FIRST_TIMEOUT
            self._timer = now

    def due(self) -> float:
        """When `flow` has something to do even if nothing is heard; infinite where it never has."""
        return self._timer

    def _again(self, now: float) -> Iterator[Cut]:
        budget = RESEND_BYTES
        for piece in self._unacknowledged:
            if budget <= 0:
                break
            budget -= piece.cost
            piece.resent = True
            yield piece.content
        if not self._unacknowledged and self._waiting and self._next > 1:
            # What told of new credit may be lost. Whoever gets the last packet once more says all of it again.
            yield self._next - 1, (), (), None
        self._timer = now + self._timeout if self._unacknowledged or self._waiting else math.inf

    def _cut(self, ticket: Ticket, now: float) -> Piece | None:
        """The next packet of a message, or None while credit is short, or memory that the other side reads."""
        writer = self.writer if ticket.rest >= SHARED_BYTES else None
        if writer is not None and not writer.is_usable:
            writer = None
        most = self._chunk if writer is None else writer.at_once
        chunk = ticket.rest if ticket.rest <= most + SLIVER_BYTES else most
        room = min(chunk, self._limit - self._sent - PACKET_OVERHEAD)
        if room < 0 or (room == 0 and ticket.rest) or (writer is not None and not writer.fits(room)):
            return None
        sizes, before = () if ticket.begun else tuple(map(len, ticket.frames)), ticket.rest
        region = None if writer is None else self._share(ticket, room, writer)
        parts = self._some(ticket, room) if region is None else ()
        ticket.begun = True
        if ticket.frame == len(ticket.frames):
            ticket.left = True
            self._waiting.popleft()
        return self._begin(sizes, parts, PACKET_OVERHEAD + before - ticket.rest, now, region)

    def _begin(
        self, sizes: tuple[int, ...], parts: Sequence[Buffer], cost: int, now: float, region: Region | None = None
    ) -> Piece:
        """Give a packet its number; it is on its way from now on."""
        piece = Piece(self._next, sizes, parts, cost, now, region)
        self._next += 1
        self._sent += cost
        self._unacknowledged.append(piece)
        if self._timer == math.inf:
            self._timer = now + self._timeout
        return piece

    def _share(self, ticket: Ticket, room: int, writer: MemoryWriter) -> Region | None:
        """Put so much of a message where the other side reads it; None where the system has no more such memory."""
        before = ticket.rest, ticket.frame, ticket.offset
        parts = self._some(ticket, room, copy=False)
        region = writer.put(parts)
        if region is None:
            ticket.rest, ticket.frame, ticket.offset = before
        return region

    def _some(self, ticket: Ticket, room: int, *, copy: bool = True) -> list[Buffer]:
        """So much of a message as there is room for; without `copy`, for use before its memory may change."""
        parts: list[Buffer] = []
        frame, offset = ticket.frame, ticket.offset
        while frame < len(ticket.frames):
            whole = ticket.frames[frame]
            size = len(whole)
            take = min(size - offset, room)
            if take == 0 and size > offset:
                break
            parts.append(self._part(ticket, whole, offset, take) if copy else memoryview(whole)[offset : offset + take])
            ticket.rest -= take
            room -= take
            offset += take
            if offset == size:
                frame, offset = frame + 1, 0
        ticket.frame, ticket.offset = frame, offset
        return parts

    def _part(self, ticket: Ticket, whole: Buffer, offset: int, take: int) -> Buffer:
        is_whole = take == len(whole)
        if ticket.donated or type(whole) is bytes:
            return whole if is_whole else memoryview(whole)[offset : offset + take]
        view = memoryview(whole)[offset : offset + take]
        # The credit for the last byte comes when all but a window of them arrived. So what goes further ahead than that
        # is no longer needed when the ticket has left. A whole frame is copied still: where both sides share memory,
        # the receiver might keep it as it is.
        if ticket.lent and not is_whole and ticket.rest - take > self._window:
            return view.toreadonly()
        return bytes(view)

    def _measure(self, sample: float) -> None:
        """The retransmission timeout from measured round trips (RFC 6298)."""
        if self._round_trip is None:
            self._round_trip, self._deviation = sample, sample / 2
        else:
            self._deviation += (abs(sample - self._round_trip) - self._deviation) / 4
            self._round_trip += (sample - self._round_trip) / 8
        wanted = self._round_trip + 4 * self._deviation
        self._timeout = SHORTEST_TIMEOUT if wanted < SHORTEST_TIMEOUT else min(wanted, LONGEST_TIMEOUT)
