"""Who is here, and when each was last heard. Time is passed in, never read."""

from __future__ import annotations

from dataclasses import dataclass

SILENCE = 10.0  # seconds without a sign of life after which a party is gone
GRACE = 2.0  # seconds that a party whose connection broke has to come back
STARTED_ANEW = "it was started anew, and what the old process held is gone"


@dataclass(frozen=True, slots=True)
class Member:
    """A party that is here: its name, the incarnation of its process, and when its last heartbeat came.

    `busy` is what it is doing, in words; empty when it waits.
    """

    name: str
    boot: bytes
    busy: str
    heard: float


@dataclass(frozen=True, slots=True)
class Departure:
    """A party that is here no longer, and why in words."""

    name: str
    boot: bytes
    reason: str


class Roster:
    """The parties that gave a sign of life lately."""

    def __init__(self, silence: float = SILENCE, grace: float = GRACE) -> None:
        self.silence = silence
        self._grace = min(grace, silence)
        self._members: dict[str, Member] = {}
        self._deadlines: dict[str, float] = {}
        self._broken: set[str] = set()

    def __len__(self) -> int:
        return len(self._members)

    def members(self) -> list[Member]:
        """All that are here, by name. Any thread may ask, here and in `get`; the rest belongs to whoever keeps it."""
        return sorted(self._members.copy().values(), key=lambda member: member.name)

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    def beat(self, name: str, boot: bytes, busy: str, now: float) -> Departure | None:
        """A heartbeat came; says who departed by it, when another incarnation takes over the name."""
        before = self._members.get(name)
        self._members[name] = Member(name, boot, busy, now)
        self.heard(name, now)
        if before is not None and before.boot != boot:
            return Departure(name, before.boot, STARTED_ANEW)
        return None

    def heard(self, name: str, now: float) -> None:
        """Anything at all came from a party; that is as good as a heartbeat."""
        if name in self._members:
            self._deadlines[name] = now + self.silence
            self._broken.discard(name)

    def broken(self, name: str, now: float) -> None:
        """The medium lost its connection to a party; it may come back at once, or be dead."""
        if name in self._members:
            self._deadlines[name] = min(self._deadlines[name], now + self._grace)
            self._broken.add(name)

    def excuse(self, now: float) -> None:
        """The medium itself is silent: nobody can be called silent for it."""
        for name in self._members:
            self._deadlines[name] = now + self.silence
        self._broken.clear()

    def leave(self, name: str, boot: bytes) -> Departure | None:
        """A party said that it goes."""
        member = self._members.get(name)
        if member is None or member.boot != boot:
            return None
        self._forget(name)
        return Departure(name, boot, "it left")

    def overdue(self, now: float) -> list[Departure]:
        """Those whose time is over; they are here no longer."""
        departures = []
        for name in [name for name, deadline in self._deadlines.items() if now > deadline]:
            reason = f"nothing was heard of it for {self.silence:g} s"
            if name in self._broken:
                reason = "its connection broke and it did not come back (was the process killed?)"
            departures.append(Departure(name, self._members[name].boot, reason))
            self._forget(name)
        return departures

    def _forget(self, name: str) -> None:
        del self._members[name], self._deadlines[name]
        self._broken.discard(name)
