"""Who is here, what each does, and what is on its way to whom: asked by one who takes part in nothing else.

The medium knows who is connected, what each hears, and when it last heard of each; what they do, they say themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fedzmq.errors import ProtocolError
from fedzmq.session import heartbeat
from fedzmq.session.heartbeat import CLIENTS, ROLL_CALL, WORKERS, Heartbeat
from fedzmq.session.presence import SLOWEST_BEAT
from fedzmq.transports import party
from fedzmq.transports.connection import PARTIES, Connection
from fedzmq.transports.party import Party

WORKER, CLIENT = "worker", "client"
PATIENCE = 2 * SLOWEST_BEAT  # seconds in which whoever lives says so


@dataclass(frozen=True, slots=True)
class Resident:
    """A party, and what it says of itself: None where it says nothing."""

    party: Party
    beat: Heartbeat | None

    @property
    def kind(self) -> str:
        """Whether it is a worker or a client, which each shows by what it hears; "" for anything else."""
        if ROLL_CALL in self.party.hears:
            return WORKER
        return CLIENT if WORKERS in self.party.hears else ""


def take_census(
    connection: Connection, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
) -> list[Resident] | None:
    """All but those who only ask, by kind and name; None where the medium does not tell."""
    for topic in (PARTIES, WORKERS, CLIENTS):
        connection.subscribe(topic)
    beats: dict[str, Heartbeat] = {}
    parties: list[Party] | None = None
    deadline = clock() + patience
    while (rest := deadline - clock()) > 0:
        delivery = connection.recv(rest)
        if delivery is None:
            continue
        with suppress(ProtocolError):  # from who is no fedzmq, and tells nothing
            if delivery.topic == PARTIES:
                told = map(party.parse, delivery.frames)
                parties = [each for each in told if PARTIES not in each.hears]
            elif delivery.topic in (WORKERS, CLIENTS):
                beats[delivery.sender] = heartbeat.parse(delivery.frames)
        if parties is not None and all(each.name in beats for each in parties):
            break
    if parties is None:
        return None
    residents = [Resident(each, beats.get(each.name)) for each in parties]
    return sorted(residents, key=lambda each: (each.kind, each.party.name))
