"""One party's side of all its sessions, over one connection.

Whoever waits does the work: the thread that calls `pump` receives, acknowledges and resends. While the program computes
and nobody pumps, a tender thread looks in every few milliseconds, so that heartbeats and acknowledgements never wait
behind training.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from fedzmq.errors import FedzmqError, ProtocolError, TransportClosed, WorkerLost
from fedzmq.session.lifecycle import Lifecycle
from fedzmq.session.outbound import Ticket
from fedzmq.session.packet import ADDRESS_BYTES, BOOT_BYTES, Kind, Lane, parse
from fedzmq.session.presence import TOPICS, Presence
from fedzmq.session.roster import Departure, Roster
from fedzmq.session.session import MOST_MESSAGE_BYTES, WINDOW_BYTES, Peer, Session
from fedzmq.session.sessions import Sessions
from fedzmq.session.shared_socket import SocketReader
from fedzmq.session.sharing import Sharing
from fedzmq.transports.connection import Buffer, Connection, Delivery

TICK = 0.02  # seconds between two looks of the tender, and of whoever has not heard all that is here
NAP = 0.1  # seconds between two looks whether anything is due, where nothing is sooner
BULK_BYTES = 32 * 1024  # packets from this size on travel beside the others
MOST_SHARING = 100  # peers with whom memory is shared: each takes four descriptors, of which a process has 1024
BURST = 256  # messages that are taken in before anything else has its turn
_DATA, _RESET, _CONTROL = Kind.DATA, Kind.RESET, Lane.CONTROL  # an enum's own look-up costs five times as much
_AGREEING = (Kind.OFFER, Kind.ANSWER)
_LEFT = Ticket([], donated=True, lent=False, left=True)  # of every message that was sent before `post` returned


class Arrival(NamedTuple):
    """A whole message, as it came out of a session."""

    peer: Peer
    lane: Lane
    frames: list[Buffer]


class Endpoint:
    """Sends and receives whole messages, each exactly once, to and from any number of peers.

    - `post` never waits. `settle` waits until a message no longer needs the caller's memory.
    - `pump` receives for up to `timeout` seconds; `take` gives what came on the command lane, in order.
    - Messages on the control lane go to `urgent` at once, in the thread that pumps.
    - `departed` is called with every peer whose sessions ended, and the reason in words; `ticked` by the tender thread,
      now and then, and it may post.
    - `hear` gives what is published on a topic to whoever wants it, in the thread that pumps.
    - `found` is called when the medium is back, or there for the first time: what was on its way may be lost.
    - With `direct`, what goes to parties on the same machine goes past the medium, by a socket and by memory that both
      can reach, where they want it too, see `fedzmq.session.sharing`.
    - A worker answers sessions that others open; a client knows only those that it opened itself.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        is_worker: bool,
        roster: Roster | None = None,
        clock: Callable[[], float] = time.monotonic,
        boot: bytes | None = None,
        window: int = WINDOW_BYTES,
        most_bytes: int = MOST_MESSAGE_BYTES,
        allocate: Callable[[int], Buffer] = bytearray,
        direct: bool = False,
    ) -> None:
        self.boot = boot if boot is not None else os.urandom(BOOT_BYTES)
        self.connection = connection
        self.presence = Presence(connection, self.boot, Roster() if roster is None else roster, is_worker=is_worker)
        self.urgent: Callable[[Arrival], None] = lambda arrival: None
        self.departed: Callable[[Peer, str], None] = lambda peer, reason: None
        self.ticked: Callable[[], None] = lambda: None
        self.found: Callable[[], None] = lambda: None
        self.bytes_sent = 0
        self.bytes_received = 0
        self.refused = 0  # packets that no fedzmq sends
        self._is_worker = is_worker
        self._clock = clock
        self._sessions = Sessions(
            lambda peer, lane: Session(
                peer,
                lane,
                self.boot,
                window=window,
                most_bytes=most_bytes,
                allocate=allocate,
                sharing=(
                    Sharing.beside(len(self._sessions.peers), partial(SocketReader, connection, peer.name))
                    if direct and lane is Lane.COMMANDS and self._may_share
                    else None
                ),
            )
        )
        self._state = threading.RLock()  # the sessions; held for moments
        self._lifecycle = Lifecycle(
            self._sessions,
            self._state,
            connection,
            self.presence.roster,
            self.boot,
            accepts=is_worker,
            end=self.end,
        )
        self._expected: deque[tuple[str, bytes]] = deque()  # who should show a sign of life from now on
        self._departures: deque[Departure] = deque()
        self._arrived: deque[Session] = deque()
        self._topics: dict[str, Callable[[Delivery, float], None]] = {}
        self._topic_changes = 0
        self._pumping = threading.Lock()  # the right to receive; held while waiting
        self._closed = threading.Event()
        self._tender: threading.Thread | None = None
        self._next_tick = 0.0  # when to see what is due even if nothing comes
        self.presence.owed = self._owed
        self.presence.start()

    def start(self) -> None:
        """Let a thread look after heartbeats and acknowledgements while the program computes. Twice is fine."""
        if self._tender is None:
            tender = threading.Thread(target=self._tend, name=f"fedzmq-{self.connection.name}", daemon=True)
            tender.start()
            self._tender = tender

    def open(self, name: str, boot: bytes) -> Peer:
        """A new session with an incarnation of `name`; nothing is sent yet."""
        with self._state:
            return self._sessions.open(name, boot)

    def reach(self, name: str, boot: bytes) -> Peer:
        """The session with an incarnation of `name`, whichever side opened it; a new one where there is none.

        Two that open one at the same time have opened the same.
        """
        with self._state:
            peer, is_new = self._sessions.reach(name, boot)
            if is_new:
                self._expected.append((name, boot))
            return peer

    def post(
        self,
        peer: Peer,
        frames: Sequence[Buffer],
        *,
        lane: Lane = Lane.COMMANDS,
        donate: bool = False,
        lend: bool = False,
    ) -> Ticket:
        """Send one message. Without `donate`, memory that is not bytes must not change until the ticket has left.

        With `lend` less of it is copied, for a caller that goes on to `settle`. Raises WorkerLost when the session
        ended.
        """
        with self._state:
            session = self._sessions.get(peer, lane)
            if session is None:
                raise WorkerLost(peer.name, self._sessions.why_ended(peer))
            now = self._clock()
            packet = session.pack(frames, now, donate=donate)
            if packet is None:
                ticket = session.submit(frames, donate=donate, lend=lend)
                self._flow(session, now)
                return ticket
            self.bytes_sent += len(packet)
            socket = session.socket
            if socket is None or session.topics_known != self._topic_changes or not socket.send(packet):
                session.topics_known = self._topic_changes
                self.connection.send(peer.name, (packet,), donate=True)
            return _LEFT

    def publish(self, topic: str, frames: Sequence[Buffer]) -> None:
        """Send to all who hear that topic, once, with no promise that it arrives. Frames must never change."""
        self.bytes_sent += sum(map(len, frames))
        self.connection.publish(topic, frames, bulk=True, donate=True)

    def hear(self, topic: str, listener: Callable[[Delivery, float], None]) -> None:
        """From now on give the listener what others publish there, and when it came.

        What it raises is taken for a fault of the sender where it is a ProtocolError.
        """
        self._topics[topic] = listener
        self.connection.subscribe(topic)
        self._changed_topics()

    def unhear(self, topic: str) -> None:
        """What is still on its way is dropped. Fine where nobody heard it."""
        if self._topics.pop(topic, None) is not None:
            self.connection.unsubscribe(topic)
            self._changed_topics()

    def detach(self, ticket: Ticket, peer: Peer, lane: Lane = Lane.COMMANDS) -> None:
        """Copy what a message still needs of its sender's memory, so that this may change."""
        with self._state:
            session = self._sessions.get(peer, lane)
            if session is not None and not ticket.left:
                session.detach(ticket)

    def settle(self, ticket: Ticket, peer: Peer, waits: Callable[[], None] = lambda: None) -> None:
        """Receive until a message has left the caller's memory, with a call of `waits` now and then.

        Raises WorkerLost when it never will.
        """
        try:
            while not ticket.left:
                self.pump(0.1)
                waits()
                if not ticket.left and not self.has(peer):
                    raise WorkerLost(peer.name, self._sessions.why_ended(peer))
        except BaseException:  # an interrupt: the caller goes on, and may write to what has not been sent yet
            self.detach(ticket, peer)
            raise

    def has(self, peer: Peer) -> bool:
        """The session with this peer goes on."""
        return peer in self._sessions

    def shares_with(self, peer: Peer) -> bool:
        """What is large goes to this peer by memory, and costs the medium nothing."""
        session = self._sessions.get(peer)
        return session is not None and session.shares

    def received(self, peer: Peer) -> int:
        """Bytes that came from a peer on the command lane, of whole messages or not; 0 where the session ended."""
        session = self._sessions.get(peer)
        return 0 if session is None else session.received

    def held(self) -> dict[Peer, int]:
        """Bytes of what is on its way from and to each peer, as far as they are in this process."""
        held: dict[Peer, int] = {}
        with self._state:
            for session in self._sessions:
                held[session.peer] = held.get(session.peer, 0) + session.held
        return held

    def take(self) -> Arrival | None:
        """The next message of the command lane that is here."""
        if not self._arrived:
            return None
        with self._state:
            while self._arrived:
                session = self._arrived.popleft()
                frames = session.take()
                if frames is not None:
                    if session.is_pressing:
                        self._flow(session, self._clock())
                    return Arrival(session.peer, session.lane, frames)
            return None

    def pump(self, timeout: float) -> None:
        """Receive for at most `timeout` seconds; returns early when something came."""
        with self._pumping:
            self._pump(timeout)

    def idle(self) -> bool:
        """Everything that was posted arrived."""
        with self._state:
            return all(session.idle for session in self._sessions)

    def give_up(self, peer: Peer, reason: str) -> None:
        """As `end`, with one that is here, and may only be waiting for an answer: it is told."""
        self._lifecycle.give_up(peer, reason)

    def end(self, peer: Peer, reason: str) -> bool:
        """Close the sessions with a peer; what it still sends is answered with a reset. False where there is none."""
        with self._state:
            if not self._sessions.end(peer, reason):
                return False
            for session in [each for each in self._arrived if each.peer == peer]:
                self._arrived.remove(session)
        self.departed(peer, reason)
        return True

    def close(self) -> None:
        """Say goodbye, and close the connection. Twice is fine."""
        if self._closed.is_set():
            return
        self._closed.set()
        self.connection.wake()
        if self._tender is not None and self._tender is not threading.current_thread():
            self._tender.join()
        with self._pumping:
            try:
                self.presence.leave()
            finally:
                self.connection.close()
                with self._state:
                    self._sessions.close()

    @property
    def _may_share(self) -> bool:
        return len(self._sessions) < len(Lane) * MOST_SHARING

    def _owed(self) -> tuple[tuple[str, int], ...]:
        """How much of what was posted has not arrived yet, by the name of the peer."""
        owed: dict[str, int] = {}
        with self._state:
            for session in self._sessions:
                owed[session.peer.name] = owed.get(session.peer.name, 0) + session.owed
        return tuple((name, count) for name, count in owed.items() if count)

    def _tend(self) -> None:
        rest = TICK
        while not self._closed.wait(rest):
            rest = TICK
            if self._pumping.acquire(blocking=False):
                try:
                    self._pump(0.0)
                except TransportClosed:
                    return
                except (FedzmqError, MemoryError):  # whoever pumps next meets it again, in a thread that can raise it
                    self._closed.wait(TICK)
                finally:
                    self._pumping.release()
            elif self._is_worker:  # someone waits and does all this there, and no commands of a program's gather here
                rest = NAP
            with contextlib.suppress(FedzmqError):  # a worker was lost just now: whoever waits for it is told
                self.ticked()

    def _pump(self, timeout: float) -> None:
        now = self._clock()
        delivery: Delivery | None = None
        if now >= self._next_tick:
            delivery = self.connection.recv(0.0)
            self._tick(now, everything_heard=delivery is None)
        if delivery is None:
            delivery = self.connection.recv(max(0.0, min(timeout, self._next_tick - now)))
        for _ in range(BURST):
            if delivery is None:
                self._part()
                return
            if self._deliver(delivery):
                return  # somebody waits for this: what else there is to do can be done while they work
            delivery = self.connection.recv(0.0)

    def _tick(self, now: float, *, everything_heard: bool) -> None:
        is_back = self.presence.found_again(now)
        if is_back:
            self.found()
        while self._expected:
            name, boot = self._expected.popleft()
            self.presence.roster.beat(name, boot, "", now)
        if everything_heard:
            self._departures += self.presence.tick(now)
            self._part()
        else:
            self.presence.beat(now)
        with self._state:
            sessions = list(self._sessions)
            for session in sessions:
                if is_back:
                    session.hurry(now)
                if session.due() <= now:
                    self._flow(session, now)
            nearest = min([now + NAP, *(session.due() for session in sessions)]) if everything_heard else now
        self._next_tick = max(now + TICK, nearest)

    def _part(self) -> None:
        """From those who went, once everything is heard: what they sent before may come by another way than that."""
        while self._departures:
            self._lifecycle.lose(self._departures.popleft())

    def _deliver(self, delivery: Delivery) -> bool:
        """Take in what came, and say whether there is something to `take` by it."""
        now = self._clock()
        sender, topic, frames = delivery
        try:
            if topic is None:
                return self._unpack(sender, frames, now) or self._receive(sender, frames, now)
            if topic in TOPICS:
                self._departures.extend(self.presence.hear(delivery, now))
                if self._departures:
                    self._next_tick = now
                self._lifecycle.remind(sender)
                return False
            self.presence.roster.heard(sender, now)
            self.bytes_received += sum(map(len, frames))
            listener = self._topics.get(topic)
            if listener is not None:  # else it was on its way when nobody wanted it any more
                listener(delivery, now)
        except ProtocolError:
            self.refused += 1
        return False

    def _unpack(self, sender: str, frames: list[Buffer], now: float) -> bool:
        """Take in what nearly all mail is: one frame that holds the next command or answer of a known session."""
        if len(frames) != 1 or type(frame := frames[0]) is not bytes:
            return False
        with self._state:
            session = self._sessions.of_inlet(sender, frame[:ADDRESS_BYTES])
            if session is None or not session.unpack(frame, now):
                return False
            self._arrived.append(session)
            self._follow(session, now)
        self.presence.roster.heard(sender, now)
        self.bytes_received += len(frame)
        return True

    def _receive(self, sender: str, frames: list[Buffer], now: float) -> bool:
        """Take in any packet of any session, and say whether there is something to `take` by it."""
        self.presence.roster.heard(sender, now)
        self.bytes_received += sum(map(len, frames))
        packet = parse(frames)
        if packet.region is not None:
            self.bytes_received += packet.size
        if packet.kind is _RESET:
            if packet.target == self.boot:
                self._lifecycle.was_reset(sender, packet)
            return False
        peer, lane = Peer(sender, packet.source, packet.epoch), packet.lane
        urgent: list[Arrival] = []
        with self._state:
            session = self._sessions.get(peer, lane)
            if session is None or packet.target != self.boot:
                session = self._lifecycle.admit(peer, packet, now)
                if session is None:
                    return False
            try:
                complete = session.receive(packet, now)
            except ProtocolError as error:  # the stream cannot go on without what this packet should have held
                self._lifecycle.give_up(peer, f"it broke the session protocol: {error}")
                raise
            if packet.kind in _AGREEING:
                self._sessions.share_socket(peer)
            if lane is _CONTROL:
                while (message := session.take()) is not None:
                    urgent.append(Arrival(peer, lane, message))
            else:
                for _ in range(complete):
                    self._arrived.append(session)
            self._follow(session, now)
        for arrival in urgent:
            self.urgent(arrival)
        return complete > 0 and lane is not _CONTROL

    def _follow(self, session: Session, now: float) -> None:
        """Something came: send what that lets go."""
        if session.has_work(now):  # to acknowledge it there is time: the next look comes before that is due
            self._flow(session, now)

    def _flow(self, session: Session, now: float) -> None:
        """Send what is to be sent now: past the medium, where that can be.

        What is sent again goes by the medium, as a socket may take what nobody reads; and so does what is sent first
        after a topic was changed, behind that, as whoever has it, or what follows it, may count on the change.
        """
        socket = None if session.is_late(now) else session.socket
        for packet in session.flow(now):
            frames = packet.frames()
            size = sum(map(len, frames))
            self.bytes_sent += size if packet.region is None else size + packet.size
            if socket is not None and len(frames) == 1:
                knows = session.topics_known == self._topic_changes or packet.kind is not _DATA
                if knows and socket.send(frames[0]):
                    continue
                if packet.kind is _DATA:
                    session.topics_known = self._topic_changes
            # Parts are bytes, or memory that stays as it is until it was acknowledged: the session may send them again.
            self.connection.send(session.peer.name, frames, bulk=size >= BULK_BYTES, donate=True)

    def _changed_topics(self) -> None:
        with self._state:
            self._topic_changes += 1
