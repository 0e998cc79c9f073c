from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from fedzmq.session.census import Resident, take_census
from fedzmq.session.heartbeat import CLIENTS, ROLL_CALL, WORKERS, Heartbeat
from fedzmq.transports.connection import MEDIUM, PARTIES, Buffer, Connection, Delivery
from fedzmq.transports.party import Party

BOB = Heartbeat(b"b" * 8, "epoch 1, step 2 of 3 for anna")
ANNA = Heartbeat(b"a" * 8, "round 1: has waited 5 s for bob", owed=(("bob", 9),))


class Medium:
    """Delivers what it was given, and lets a second pass for each that is missing."""

    name = "status"

    def __init__(self, *deliveries: Delivery) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self._deliveries: Iterator[Delivery] = iter(deliveries)

    def subscribe(self, topic: str) -> None:
        self.asked.append(topic)

    def publish(self, topic: str, frames: Sequence[Buffer]) -> None:
        self.asked.append(topic)

    def recv(self, timeout: float) -> Delivery | None:
        delivery = next(self._deliveries, None)
        if delivery is None:
            self.now += timeout
        return delivery

    def census(self) -> list[Resident] | None:
        return take_census(cast(Connection, self), clock=lambda: self.now)


def told(*parties: Party) -> Delivery:
    return Delivery(MEDIUM, PARTIES, [party.frame() for party in parties])


def beat(name: str, topic: str, heartbeat: Heartbeat) -> Delivery:
    return Delivery(name, topic, heartbeat.frames())


def test_whoever_is_there_is_told_with_what_it_says_of_itself() -> None:
    anna, bob = Party("anna", 3.0, 0.5, 0, frozenset({WORKERS})), Party("bob", 9.0, 0.1, 2, frozenset({ROLL_CALL}))
    me = Party("status", 0.0, 0.0, 0, frozenset({PARTIES, WORKERS, CLIENTS}))
    medium = Medium(beat("bob", WORKERS, BOB), told(bob, me, anna), beat("anna", CLIENTS, ANNA))

    residents = medium.census()
    assert residents is not None
    assert residents == [Resident(anna, ANNA), Resident(bob, BOB)]
    assert [each.kind for each in residents] == ["client", "worker"]
    assert medium.now == 0.0  # nothing is waited for any more
    assert medium.asked == [PARTIES, WORKERS, CLIENTS]  # and nothing is said, by which others would know of it


def test_one_that_says_nothing_is_told_all_the_same() -> None:
    bob = Party("bob", 9.0, 7.0, 0)

    assert Medium(told(bob)).census() == [Resident(bob, None)]


def test_a_worker_that_is_stopped_is_a_worker_all_the_same() -> None:
    bob = Party("bob", 9.0, 7.0, 0, frozenset({CLIENTS, ROLL_CALL}))

    assert Resident(bob, None).kind == "worker"


def test_rubbish_is_passed_over() -> None:
    bob = Party("bob", 9.0, 0.1, 0)
    medium = Medium(
        Delivery(MEDIUM, PARTIES, [b"rubbish"]),
        Delivery("bob", WORKERS, [b"rubbish"]),
        told(bob),
        beat("bob", WORKERS, BOB),
    )

    assert medium.census() == [Resident(bob, BOB)]


def test_a_medium_that_does_not_tell_is_no_empty_one() -> None:
    assert Medium(beat("bob", WORKERS, BOB)).census() is None
