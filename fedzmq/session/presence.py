"""This party's own sign of life, and the roster of those it listens to. Time is passed in, never read."""

from __future__ import annotations

import math
from collections.abc import Callable

from fedzmq.errors import ProtocolError
from fedzmq.session import heartbeat
from fedzmq.session.heartbeat import CLIENTS, ROLL_CALL, WORKERS, Heartbeat
from fedzmq.session.roster import Departure, Roster
from fedzmq.transports.connection import DEPARTURES, Connection, Delivery

TOPICS = frozenset((WORKERS, CLIENTS, ROLL_CALL, DEPARTURES))
SLOWEST_BEAT = 1.0  # seconds between heartbeats, at the most
ROLL_REST = 0.1  # seconds in which one answer is enough to any number of roll calls
AWAY = "does not answer; until it does, only what need not pass it arrives"
BACK = "answers again"
HUSH = 4 * SLOWEST_BEAT  # seconds without any sign of life that are worth a word


class Presence:
    """Publishes heartbeats on one topic and hears those of another: workers hear clients, and clients hear workers.

    That keeps the traffic at workers times clients, where everybody hearing everybody would grow with the square.
    """

    def __init__(self, connection: Connection, boot: bytes, roster: Roster, *, is_worker: bool) -> None:
        self.roster = roster
        self.busy = ""
        self.owed: Callable[[], tuple[tuple[str, int], ...]] = lambda: ()
        """To whom something is on its way, and how many bytes."""
        self._connection = connection
        self._boot = boot
        self._is_worker = is_worker
        self._interval = min(SLOWEST_BEAT, roster.silence / 5)
        self._patience = min(3.0, max(1.5, roster.silence / 2))
        self._next_beat = 0.0
        self._next_answer = -math.inf  # to a roll call
        self._hears_workers = not is_worker
        self._away = True
        self._looked: float | None = None
        self._awake_since = -math.inf  # where nobody looked for long, nobody could hear the medium either
        self._found = 0
        self._broken: set[str] = set()  # whose connection the medium lost, and nothing that came by it since

    @property
    def away(self) -> bool:
        """The medium itself does not answer."""
        return self._away

    def listening(self, now: float) -> float:
        """For so many seconds this party could have heard the others."""
        return now - self._awake_since

    def start(self) -> None:
        """Subscribe; the first `tick` says that this party is here."""
        self._connection.subscribe(CLIENTS if self._is_worker else WORKERS)
        self._connection.subscribe(DEPARTURES)
        if self._is_worker:
            self._connection.subscribe(ROLL_CALL)

    def hear_workers(self) -> None:
        """Listen to workers too: a worker does that from its first transfer with another one on. Twice is fine."""
        if self._is_worker and not self._hears_workers:
            self._hears_workers = True
            self._connection.subscribe(WORKERS)

    def tick(self, now: float) -> list[Departure]:
        """Say that this party is here, and who is overdue.

        Call it when the mailbox is empty: a sign of life that waits there would be overlooked.
        """
        if self._looked is not None and now - self._looked > self._patience / 2:
            self._awake_since = now
        self._looked = now
        self._away = min(self._connection.silent_for(), now - self._awake_since) > self._patience
        if self._away:
            self.roster.excuse(now)
        self.beat(now)
        for name in self._broken:  # only now, as what else it sent may have come since, by another way
            self.roster.broken(name, now)
        self._broken.clear()
        return self.roster.overdue(now)

    def beat(self, now: float) -> None:
        """Say that this party is here, where that is due: also while its mailbox is never empty."""
        if now >= self._next_beat:
            self._beat(now)

    def found_again(self, now: float) -> bool:
        """Whether the medium was found since this was last asked; then all hear anew that this party is here."""
        found = self._connection.found()
        if found == self._found:
            return False
        self._found = found
        self.roster.excuse(now)
        self._beat(now)
        if not self._is_worker:
            self.ask()
        return True

    def hear(self, delivery: Delivery, now: float) -> list[Departure]:
        """Take in a message of a topic, and say who departed by it. Raises ProtocolError for one of no known form."""
        if delivery.topic == DEPARTURES:
            if not delivery.frames or len(delivery.frames[0]) > 256:
                raise ProtocolError("a departure names a party")
            name = bytes(delivery.frames[0]).decode("utf-8", "replace")
            if self.roster.get(name) is not None:
                self._broken.add(name)
            return []
        if delivery.topic == ROLL_CALL:
            if now >= self._next_answer:
                self._next_answer = now + ROLL_REST
                self._beat(now)
            else:  # strangers may ask without end, and all clients hear each answer
                self._next_beat = min(self._next_beat, self._next_answer)
            return []
        beat = heartbeat.parse(delivery.frames)
        self._broken.discard(delivery.sender)
        if beat.leaving:
            departure = self.roster.leave(delivery.sender, beat.boot)
        else:
            departure = self.roster.beat(delivery.sender, beat.boot, beat.busy, now)
        return [] if departure is None else [departure]

    def ask(self) -> None:
        """Have all workers say now that they are here."""
        self._connection.publish(ROLL_CALL, [])

    def leave(self) -> None:
        """Say that this party goes."""
        self._connection.publish(self._topic, Heartbeat(self._boot, leaving=True).frames())

    @property
    def _topic(self) -> str:
        return WORKERS if self._is_worker else CLIENTS

    def _beat(self, now: float) -> None:
        self._connection.publish(self._topic, Heartbeat(self._boot, self.busy, owed=self.owed()).frames())
        self._next_beat = now + self._interval
