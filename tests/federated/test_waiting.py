from __future__ import annotations

from typing import cast

from fedzmq.client.client import Client, WorkerStatus
from fedzmq.federated.waiting import FIRST, HUSH, RAREST, Waiting, doing, first_of
from fedzmq.session.roster import Roster


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Here:
    """As much of a client as says who is here."""

    def __init__(self, *workers: WorkerStatus) -> None:
        self._workers = list(workers)
        self.endpoint = self.presence = self
        self.roster = Roster(silence=10.0)

    def workers(self) -> list[WorkerStatus]:
        return self._workers


def told(clock: Clock, waiting: Waiting, until: int) -> list[int]:
    """The seconds at which something is said."""
    times = []
    while clock.now < until:
        clock.now += 1
        if waiting.is_due():
            times.append(int(clock.now))
    return times


def test_words_come_soon_and_then_ever_more_rarely() -> None:
    clock = Clock()

    assert told(clock, Waiting(clock), 220) == [5, 15, 35, 75, 135, 195]
    assert (FIRST, RAREST) == (5.0, 60.0)


def test_the_next_wait_keeps_the_pace_of_a_long_one() -> None:
    clock = Clock()
    waiting = Waiting(clock)
    told(clock, waiting, 40)
    waiting.begin()

    assert told(clock, waiting, 100) == [80]


def test_a_short_wait_forgets_the_pace() -> None:
    clock = Clock()
    waiting = Waiting(clock)
    told(clock, waiting, 40)
    waiting.begin()
    clock.now += 1
    waiting.begin()

    assert told(clock, waiting, 50) == [46]


def test_one_that_falls_silent_is_told_of_at_once_and_once() -> None:
    clock = Clock()
    waiting = Waiting(clock)

    assert [waiting.is_due(["bob"]), waiting.is_due(["bob"]), waiting.is_due(["alice", "bob"])] == [True, False, True]


def test_it_is_told_what_each_does() -> None:
    here = Here(
        WorkerStatus("alice", "epoch 2, step 3 of 10 for anna", 0.5),
        WorkerStatus("bob", "epoch 1, step 3 of 10 for anna", HUSH + 2),
        WorkerStatus("carol", "", 0.5),
    )

    assert doing(cast(Client, here), ["carol", "bob", "alice"]) == (
        "alice (epoch 2, step 3 of 10 for anna), bob (nothing heard for 6 s; after 10 s it counts as lost), carol"
    )


def test_of_many_a_few_are_named() -> None:
    assert first_of(f"w{number}" for number in range(9)) == "w0, w1, w2 and 6 more"
