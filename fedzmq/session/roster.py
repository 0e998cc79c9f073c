"""Who is here, and when each was last heard. Time is passed in, never read."""

from __future__ import annotations

from dataclasses import dataclass, replace

SILENCE = 10.0  # seconds without a sign of life after which a party is gone
GRACE = 2.0  # seconds that a party whose connection broke has to come back


@dataclass(frozen=True, slots=True)
class Member:
    """A party that is here: its name, the incarnation of its process, and what it says of itself."""

    name: str
    boot: bytes
    busy: str  # what it is doing, in words; empty when it waits
    heard: float
    deadline: float


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
        self._broken: set[str] = set()

    def __len__(self) -> int:
        return len(self._members)

    def members(self) -> list[Member]:
        """All that are here, by name."""
        return [self._members[name] for name in sorted(self._members)]

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    def beat(self, name: str, boot: bytes, busy: str, now: float) -> Departure | None:
        """A heartbeat came; says who departed by it, when another incarnation takes over the name."""
        before = self._members.get(name)
        self._members[name] = Member(name, boot, busy, now, now + self.silence)
        self._broken.discard(name)
        if before is not None and before.boot != boot:
            return Departure(name, before.boot, "it was started anew, and what the old process held is gone")
        return None

    def heard(self, name: str, now: float) -> None:
        """Anything else came from a party; that is as good as a heartbeat."""
        member = self._members.get(name)
        if member is not None:
            self._members[name] = replace(member, heard=now, deadline=now + self.silence)
            self._broken.discard(name)

    def broken(self, name: str, now: float) -> None:
        """The medium lost its connection to a party; it may come back at once, or be dead."""
        member = self._members.get(name)
        if member is not None:
            self._members[name] = replace(member, deadline=min(member.deadline, now + self._grace))
            self._broken.add(name)

    def excuse(self, now: float) -> None:
        """The medium itself is silent: nobody can be called silent for it."""
        for name, member in self._members.items():
            self._members[name] = replace(member, deadline=now + self.silence)
        self._broken.clear()

    def leave(self, name: str, boot: bytes) -> Departure | None:
        """A party said that it goes."""
        member = self._members.get(name)
        if member is None or member.boot != boot:
            return None
        del self._members[name]
        self._broken.discard(name)
        return Departure(name, boot, "it left")

    def overdue(self, now: float) -> list[Departure]:
        """Those whose time is over; they are here no longer."""
        late = [member for member in self._members.values() if now > member.deadline]
        departures = []
        for member in late:
            del self._members[member.name]
            if member.name in self._broken:
                self._broken.discard(member.name)
                reason = "its connection broke and it did not come back (was the process killed?)"
            else:
                reason = f"nothing was heard of it for {now - member.heard:.0f} s"
            departures.append(Departure(member.name, member.boot, reason))
        return departures
