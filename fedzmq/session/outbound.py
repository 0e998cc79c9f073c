"""The sending half of a session: messages are cut into numbered packets, kept until acknowledged, and sent again.

Time is passed in, never read. No byte leaves without the receiver's credit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fedzmq.transports.connection import Buffer

CHUNK_BYTES = 512 * 1024  # one part of a packet; complete messages alone keep a slow link's heartbeats alive
PACKET_OVERHEAD = 64  # what a packet costs of the credit beside its parts, so that empty ones are not free
FIRST_TIMEOUT = 1.0  # seconds, before any answer was measured
SHORTEST_TIMEOUT = 0.5
LONGEST_TIMEOUT = 5.0
RESEND_BYTES = 4 * 1024 * 1024  # at most so much is sent again at once: the first of them may be all that was lost


@dataclass(slots=True)
class _Piece:
    """A packet's content, from its first sending until it is acknowledged."""

    number: int
    sizes: tuple[int, ...]
    parts: list[Buffer]
    cost: int
    first_sent: float
    last_sent: float
    resent: bool = False


@dataclass(slots=True)
class Ticket:
    """A message on its way: `left` is true once the session no longer needs the caller's memory."""

    frames: Sequence[Buffer]
    donated: bool
    left: bool = False
    frame: int = 0  # where cutting goes on: which frame, and how many of its bytes are gone
    offset: int = 0
    begun: bool = field(default=False)


class Outbound:
    """Messages that are to reach the other side, each exactly once and in this order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sent = 0  # bytes of credit used
        self._next = 1
        self._waiting: deque[Ticket] = deque()
        self._unacknowledged: deque[_Piece] = deque()
        self._timeout = FIRST_TIMEOUT
        self._round_trip: float | None = None
        self._deviation = 0.0
        self._timer: float | None = None  # when the oldest unacknowledged piece is due again

    @property
    def idle(self) -> bool:
        """Nothing is waiting and everything was acknowledged."""
        return not self._waiting and not self._unacknowledged

    @property
    def acknowledged(self) -> int:
        """The highest number up to which everything arrived."""
        return self._unacknowledged[0].number - 1 if self._unacknowledged else self._next - 1

    def submit(self, frames: Sequence[Buffer], *, donate: bool) -> Ticket:
        """Queue one message. Without `donate`, the caller's memory must stay as it is until the ticket has left."""
        ticket = Ticket(frames, donate)
        self._waiting.append(ticket)
        return ticket

    def flow(self, now: float) -> Iterator[tuple[int, tuple[int, ...], list[Buffer]]]:
        """(number, sizes, parts) of each packet that is to be sent now: those due again, then those never sent."""
        if self._timer is not None and now >= self._timer:
            self._timeout = min(self._timeout * 2, LONGEST_TIMEOUT)
            yield from self._again(now)
        while self._waiting:
            piece = self._cut(self._waiting[0], now)
            if piece is None:
                break
            self._unacknowledged.append(piece)
            if self._timer is None:
                self._timer = now + self._timeout
            yield piece.number, piece.sizes, piece.parts

    def heard(self, ack: int, limit: int, now: float) -> None:
        """Everything up to `ack` arrived there, and `limit` bytes in all may be sent."""
        self._limit = max(self._limit, limit)
        if ack >= self._next:
            return  # acknowledges what was never sent: not from an honest peer, and of no use
        progress = False
        while self._unacknowledged and self._unacknowledged[0].number <= ack:
            piece = self._unacknowledged.popleft()
            progress = True
            if not piece.resent:  # an answer to a repeated packet says nothing about time (Karn and Partridge 1987)
                self._measure(now - piece.first_sent)
        if progress:
            self._timer = now + self._timeout if self._unacknowledged else None

    def hurry(self, now: float) -> None:
        """Send everything unacknowledged again at once: what was under way is likely lost."""
        if self._unacknowledged:
            self._timeout = FIRST_TIMEOUT
            self._timer = now

    def due(self) -> float | None:
        """When `flow` has something to do even if nothing is heard."""
        return self._timer

    def _again(self, now: float) -> Iterator[tuple[int, tuple[int, ...], list[Buffer]]]:
        budget = RESEND_BYTES
        for piece in self._unacknowledged:
            if budget <= 0:
                break
            budget -= piece.cost
            piece.last_sent = now
            piece.resent = True
            yield piece.number, piece.sizes, piece.parts
        self._timer = now + self._timeout

    def _cut(self, ticket: Ticket, now: float) -> _Piece | None:
        """The next packet of a message, or None while credit is short."""
        parts: list[Buffer] = []
        room = min(CHUNK_BYTES, self._limit - self._sent - PACKET_OVERHEAD)
        if room < 0 or (room == 0 and any(len(frame) for frame in ticket.frames)):
            return None
        cost = PACKET_OVERHEAD
        frame, offset = ticket.frame, ticket.offset
        while frame < len(ticket.frames):
            whole = ticket.frames[frame]
            size = len(whole)
            take = min(size - offset, room)
            if take == 0 and size > offset:
                break
            if take == size and (ticket.donated or type(whole) is bytes):
                parts.append(whole)
            else:
                view = memoryview(whole)[offset : offset + take]
                parts.append(view if ticket.donated or type(whole) is bytes else bytes(view))
            room -= take
            cost += take
            offset += take
            if offset == size:
                frame, offset = frame + 1, 0
        sizes = () if ticket.begun else tuple(len(each) for each in ticket.frames)
        ticket.begun = True
        ticket.frame, ticket.offset = frame, offset
        if frame == len(ticket.frames):
            ticket.left = True
            self._waiting.popleft()
        self._sent += cost
        piece = _Piece(self._next, sizes, parts, cost, now, now)
        self._next += 1
        return piece

    def _measure(self, sample: float) -> None:
        """The retransmission timeout from measured round trips (RFC 6298)."""
        if self._round_trip is None:
            self._round_trip, self._deviation = sample, sample / 2
        else:
            self._deviation += (abs(sample - self._round_trip) - self._deviation) / 4
            self._round_trip += (sample - self._round_trip) / 8
        wanted = self._round_trip + 4 * self._deviation
        self._timeout = min(max(wanted, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)
