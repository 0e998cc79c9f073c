"""One ordered stream of messages in each direction between two incarnations, over a transport that promises nothing.

Each message is delivered exactly once and in order for as long as both processes live. Time is passed in, never read,
and nothing is sent here: `receive` and `flow` turn packets into messages and messages into packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fedzmq.session.inbound import Inbound
from fedzmq.session.outbound import Outbound, Ticket
from fedzmq.session.packet import Kind, Lane, Packet, inline, inline_address, parse_inline
from fedzmq.session.shared_memory import Region
from fedzmq.session.shared_socket import SocketWriter
from fedzmq.session.sharing import Sharing
from fedzmq.transports.connection import Buffer

WINDOW_BYTES = 8 * 1024 * 1024  # credit that each side gives the other
MOST_MESSAGE_BYTES = 16 * 1024**3
_DATA = Kind.DATA  # an enum's own look-up costs five times as much


class Peer(NamedTuple):
    """The other end of a session: a name, the incarnation behind it, and which session of this pair it is."""

    name: str
    boot: bytes
    epoch: int


class Session:
    """The two halves of a stream on one side.

    With `sharing`, what is large goes by memory that both sides can reach, where the other side can and wants.

    The first `window` bytes are granted to either side before anything was heard, so both sides must be given the same
    window.
    """

    def __init__(
        self,
        peer: Peer,
        lane: Lane,
        boot: bytes,
        *,
        window: int = WINDOW_BYTES,
        most_bytes: int = MOST_MESSAGE_BYTES,
        allocate: Callable[[int], Buffer] = bytearray,
        sharing: Sharing | None = None,
    ) -> None:
        self.peer = peer
        self.lane = lane
        self._boot = boot
        self._address = inline_address(lane, boot, peer.boot, peer.epoch)
        self.inlet = inline_address(lane, peer.boot, boot, peer.epoch)
        """How a packet begins that `unpack` takes."""
        self._outbound = Outbound(window)
        self._inbound = Inbound(window, most_bytes, allocate)
        self._sharing = Sharing.none() if sharing is None else sharing
        self.socket: SocketWriter | None = None
        """By which packets reach the other side sooner than by the medium. Those of one frame fit."""
        self.topics_known = 0
        """Whoever has what was sent last may count on so many changes of topics, as the endpoint counts them."""

    @property
    def idle(self) -> bool:
        """Everything that was sent arrived."""
        return self._outbound.idle

    @property
    def owed(self) -> int:
        """Bytes of what was sent that have not arrived yet."""
        return self._outbound.owed

    @property
    def held(self) -> int:
        """Bytes of the messages that are here, or are coming, and were not taken yet, and of those that it `owed`."""
        return self._inbound.held + self.owed

    @property
    def shares(self) -> bool:
        """What is large goes by memory that the other side reads."""
        return self._outbound.writer is not None

    @property
    def received(self) -> int:
        """Bytes that came, of whole messages or not."""
        return self._inbound.received

    def pack(self, frames: Sequence[Buffer], now: float, *, donate: bool) -> bytes | None:
        """The packet of a small message that goes at once: the short way, which nearly all of them take.

        None for a message that has to be submitted.
        """
        if not self._sharing.is_settled:
            return None  # an offer goes with it
        piece = self._outbound.whole(frames, now, donate=donate)
        if piece is None:
            return None
        ack, limit = self._inbound.say()
        return inline(self._address, piece.number, ack, limit, piece.sizes, piece.parts)

    def submit(self, frames: Sequence[Buffer], *, donate: bool, lend: bool = False) -> Ticket:
        """Queue one message; see `Outbound.submit`."""
        self._sharing.want()
        return self._outbound.submit(frames, donate=donate, lend=lend)

    def detach(self, ticket: Ticket) -> None:
        """Need the memory of a message no longer; see `Outbound.detach`."""
        self._outbound.detach(ticket)

    def receive(self, packet: Packet, now: float) -> int:
        """Take in a packet of this session, and say how many messages became complete by it.

        Raises ProtocolError when it cannot belong to it.
        """
        self._outbound.heard(packet.ack, packet.limit, now)
        if packet.kind is _DATA:
            return self._inbound.accept(packet, now)
        if packet.kind is not Kind.ACK:
            self._agree(packet)
        return 0

    def unpack(self, frame: bytes, now: float) -> bool:
        """Take in the next message, out of a packet that holds it whole: the short way, as with `pack`.

        False for a packet that has to be parsed and received.
        """
        parsed = parse_inline(frame)
        if parsed is None:
            return False
        number, ack, limit, parts = parsed
        if not self._inbound.accept_whole(number, parts, now):
            return False
        self._outbound.heard(ack, limit, now)
        return True

    def take(self) -> list[Buffer] | None:
        """The next message, whole; None when there is none."""
        return self._inbound.take()

    def flow(self, now: float) -> Iterator[Packet]:
        """The packets that are to be sent now. After anything else here, and when `due` says so, there may be some."""
        for number, sizes, parts, region in self._outbound.flow(now):
            yield self._packet(Kind.DATA, number, sizes, parts, region)
        if self._sharing.has_work:
            if (offer := self._sharing.offer(now)) is not None:
                yield self._packet(Kind.OFFER, 0, (), (offer,))
            if (answer := self._sharing.answer()) is not None:
                yield self._packet(Kind.ANSWER, 0, (), (answer,))
        if self._inbound.owes(now):
            yield self._packet(Kind.ACK, 0, (), ())

    @property
    def is_pressing(self) -> bool:
        """The other side should hear at once of what was taken: `flow` has that to give."""
        return self._inbound.is_pressing

    def has_work(self, now: float) -> bool:
        """`flow` may have something to give."""
        return self._outbound.has_work(now) or self._inbound.owes(now) or self._sharing.has_work

    def is_late(self, now: float) -> bool:
        """What was sent should have arrived by now: `flow` gives it again."""
        return now >= self._outbound.due()

    def hurry(self, now: float) -> None:
        """What was under way is likely lost: the medium was away."""
        self._outbound.hurry(now)

    def due(self) -> float:
        """When `flow` has something to do even if nothing is heard; infinite where it never has."""
        return min(self._outbound.due(), self._inbound.due())

    def close(self) -> None:
        """Nothing more is sent or received. Twice is fine."""
        self._outbound.writer = self._inbound.reader = self.socket = None
        self._sharing.close()

    def _agree(self, packet: Packet) -> None:
        sharing = self._sharing
        content = packet.parts[0] if len(packet.parts) == 1 else b""
        if packet.kind is Kind.OFFER:
            sharing.was_offered(content)
        else:
            sharing.was_answered(content)
        self._outbound.writer, self._inbound.reader, self.socket = sharing.writer, sharing.reader, sharing.socket

    def _packet(
        self, kind: Kind, number: int, sizes: tuple[int, ...], parts: Sequence[Buffer], region: Region | None = None
    ) -> Packet:
        ack, limit = self._inbound.say()
        peer = self.peer
        return Packet(kind, self.lane, self._boot, peer.boot, peer.epoch, number, ack, limit, sizes, parts, region)
