"""All sessions of one party, and what it remembers of those that ended.

Whoever has it guards it. Only what looks, and changes nothing, may come from any thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from fedzmq.session.packet import Lane
from fedzmq.session.session import Peer, Session

REMEMBERED = 4096  # sessions that ended, kept so that their late packets are recognised


class Sessions:
    """With each peer there is a session on every lane, which `make` gives; they begin and end together."""

    def __init__(self, make: Callable[[Peer, Lane], Session]) -> None:
        self._make = make
        self._sessions: dict[tuple[Peer, Lane], Session] = {}
        self._inlets: dict[tuple[str, bytes], Session] = {}  # the same, those of commands, by how their packets begin
        self._ended: OrderedDict[Peer, str] = OrderedDict()
        self._epochs: dict[str, int] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, peer: Peer) -> bool:
        return (peer, Lane.COMMANDS) in self._sessions

    @property
    def peers(self) -> list[Peer]:
        return [peer for peer, lane in list(self._sessions) if lane is Lane.COMMANDS]

    def get(self, peer: Peer, lane: Lane = Lane.COMMANDS) -> Session | None:
        return self._sessions.get((peer, lane))

    def of_inlet(self, name: str, inlet: bytes) -> Session | None:
        """That whose packets with a whole command come from this name and begin so, see `Session.inlet`."""
        return self._inlets.get((name, inlet))

    def open(self, name: str, boot: bytes) -> Peer:
        """Begin with an incarnation of `name`, once more where there was a session before."""
        epoch = self._epochs[name] = self._epochs.get(name, 0) + 1
        peer = Peer(name, boot, epoch)
        self.begin(peer)
        return peer

    def reach(self, name: str, boot: bytes) -> tuple[Peer, bool]:
        """The peer that an incarnation of `name` is, whichever side opened it, and whether it is new.

        Two that open a session at the same time have opened the same.
        """
        for peer in self.peers:
            if peer.name == name and peer.boot == boot:
                return peer, False
        ended = [peer.epoch for peer in self._ended if peer.name == name and peer.boot == boot]
        self._epochs[name] = max([self._epochs.get(name, 0), *ended])
        return self.open(name, boot), True

    def begin(self, peer: Peer) -> None:
        for lane in Lane:
            session = self._sessions[peer, lane] = self._make(peer, lane)
            if lane is Lane.COMMANDS:
                self._inlets[peer.name, session.inlet] = session

    def share_socket(self, peer: Peer) -> None:
        """On every lane packets go as those of commands do, which agreed upon it."""
        commands = self._sessions.get((peer, Lane.COMMANDS))
        for lane in Lane:
            if commands is not None:
                self._sessions[peer, lane].socket = commands.socket

    def end(self, peer: Peer, reason: str) -> bool:
        """Close the sessions with a peer; False where there is none."""
        if peer not in self:
            return False
        for lane in Lane:
            session = self._sessions.pop((peer, lane))
            session.close()
            self._inlets.pop((peer.name, session.inlet), None)
        self._ended[peer] = reason
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        return True

    def has_ended(self, peer: Peer) -> bool:
        return peer in self._ended

    def why_ended(self, peer: Peer) -> str:
        return self._ended.get(peer, "the session with it was closed")

    def close(self) -> None:
        """Nothing more is sent or received. Twice is fine."""
        for session in self:
            session.close()
