"""When a party's sessions begin and end by what others do: they open one, fall silent, or are started anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager

from fedzmq.session.packet import Kind, Lane, Packet
from fedzmq.session.roster import STARTED_ANEW, Departure, Roster
from fedzmq.session.session import Peer, Session
from fedzmq.session.sessions import REMEMBERED, Sessions
from fedzmq.transports.connection import Connection

_MOST_REASON = 512  # bytes


class Lifecycle:
    """Begins sessions that others open, where this party `accepts` them, and calls `end` for those that are over.

    `give_up` and `reset` may come from any thread, all else from the one that receives. `state` guards the sessions and
    who was given up: hold it to call `admit`.
    """

    def __init__(
        self,
        sessions: Sessions,
        state: AbstractContextManager[object],
        connection: Connection,
        roster: Roster,
        boot: bytes,
        *,
        accepts: bool,
        end: Callable[[Peer, str], bool],
    ) -> None:
        self._sessions = sessions
        self._state = state
        self._connection = connection
        self._roster = roster
        self._boot = boot
        self._accepts = accepts
        self._end = end
        self._given_up: OrderedDict[str, Peer] = OrderedDict()  # they may only be waiting

    def admit(self, peer: Peer, packet: Packet, now: float) -> Session | None:
        """The session that an unknown peer opens; None, and a reset for it, where there is none to open."""
        if packet.kind not in (Kind.DATA, Kind.OFFER):
            return None
        if not self._accepts or packet.target != self._boot or self._sessions.has_ended(peer):
            self.reset(peer, packet.lane)
            return None
        for other in self._sessions.peers:
            if other.name == peer.name:
                if other.boot == peer.boot and other.epoch > peer.epoch:
                    return None  # late, from a session that this one replaced
                if other != peer:
                    self._end(other, "another session of the same name took its place")
        self._sessions.begin(peer)
        self._given_up.pop(peer.name, None)
        # Whoever opens a session is here, though no heartbeat came yet: it may die before it sends one.
        self._roster.beat(peer.name, peer.boot, "", now)
        return self._sessions.get(peer, packet.lane)

    def reset(self, peer: Peer, lane: Lane) -> None:
        """Tell a peer that there is no such session here, and why."""
        why = (self._sessions.why_ended(peer).encode()[:_MOST_REASON],)
        reset = Packet(Kind.RESET, lane, self._boot, peer.boot, peer.epoch, 0, 0, 0, (), why)
        self._connection.send(peer.name, reset.frames())

    def was_reset(self, name: str, packet: Packet) -> None:
        """A peer knows nothing of a session with this incarnation of the party."""
        for peer in self._sessions.peers:
            if peer.name == name and peer.epoch == packet.epoch:
                is_same = peer.boot == packet.source
                self._end(peer, f"it had given this client up{_reason(packet)}" if is_same else STARTED_ANEW)

    def give_up(self, peer: Peer, reason: str) -> None:
        """End the sessions with a party that is here, and tell it."""
        if self._end(peer, reason):
            self._remember(peer)
            self.reset(peer, Lane.COMMANDS)

    def lose(self, departure: Departure) -> None:
        """A party is here no longer."""
        for peer in self._sessions.peers:
            if peer.name == departure.name and peer.boot == departure.boot and self._end(peer, departure.reason):
                self._remember(peer)

    def remind(self, name: str) -> None:
        """Tell a party that is back, as after a sleep of its machine, that it was given up: it may only be waiting.

        At each sign of life, until it opens another session: any message may be lost.
        """
        with self._state:
            peer, member = self._given_up.get(name), self._roster.get(name)
            if peer is None or member is None:
                return
            if member.boot != peer.boot:
                del self._given_up[name]
                return
        self.reset(peer, Lane.COMMANDS)

    def _remember(self, peer: Peer) -> None:
        with self._state:
            if not self._accepts or any(each.name == peer.name for each in self._sessions.peers):
                return  # nobody waits: it was asked nothing, or has opened another session since
            self._given_up[peer.name] = peer
            if len(self._given_up) > REMEMBERED:
                self._given_up.popitem(last=False)


def _reason(reset: Packet) -> str:
    """What the other side says, as it may be shown."""
    told = bytes(reset.parts[0][:_MOST_REASON]).decode("utf-8", "replace") if reset.parts else ""
    return ": " + "".join(each if each.isprintable() else "?" for each in told) if told else ""
