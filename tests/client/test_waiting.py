from __future__ import annotations

import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from fedzmq.broker.broker import Broker
from fedzmq.client.client import Client, WorkerStatus, connect
from fedzmq.client.waiting import FIRST, LOOK, RAREST, Waiting, doing, first_of, what_is_wrong
from fedzmq.session.presence import AWAY, BACK, HUSH, Presence
from fedzmq.session.roster import Roster
from fedzmq.transports.connection import Connection
from fedzmq.transports.zeromq import ZeroMQConnection
from fedzmq.worker.worker import Worker
from tests.processes import until
from tests.session.test_presence import Medium


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
        self.address, self.away = "memory://here", False

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


def test_one_that_stays_silent_is_not_told_of_anew_in_each_wait() -> None:
    clock = Clock()
    waiting = Waiting(clock)
    told = [waiting.is_due(["bob"])]
    for silent in (["bob"], [], ["bob"]):
        waiting.begin()
        told.append(waiting.is_due(silent))

    assert told == [True, False, False, True]


def test_it_is_told_what_each_does() -> None:
    here = Here(
        WorkerStatus("alice", "epoch 2, step 3 of 10 for anna", 0.5),
        WorkerStatus("bob", "epoch 1, step 3 of 10 for anna", HUSH + 2),
        WorkerStatus("carol", "", 0.5),
    )

    assert doing(cast(Client, here), ["carol", "bob", "alice"]) == (
        "alice (epoch 2, step 3 of 10 for anna), bob (nothing heard for 6 s; after 10 s it counts as lost), carol"
    )


def test_what_is_wrong_is_told_and_a_worker_that_computes_is_not() -> None:
    medium = Medium()
    presence = Presence(cast(Connection, medium), b"a" * 8, Roster(10.0), is_worker=False)
    presence.tick(0.0)
    presence.roster.beat("bob", b"b" * 8, "", 0.0)
    wrong = [what_is_wrong(presence, "tcp://here", "bob", now) for now in (HUSH, HUSH + 2)]
    medium.silence = 60.0
    for tenth in range(100):
        presence.tick(tenth / 10)

    assert wrong == [None, "nothing is heard of 'bob' for 6 s; after 10 s it counts as lost"]
    assert (
        what_is_wrong(presence, "tcp://here", "bob", 10.0)
        == "tcp://here does not answer; it is waited for as long as it takes"
    )


def test_where_nobody_has_to_show_a_sign_of_life_nobody_is_silent() -> None:
    presence = Presence(cast(Connection, Medium()), b"a" * 8, Roster(silence=math.inf), is_worker=False)
    presence.tick(0.0)
    presence.roster.beat("bob", b"b" * 8, "", 0.0)

    assert what_is_wrong(presence, "memory://here", "bob", 1000.0) is None


def test_a_program_that_waits_for_a_broker_that_is_away_is_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fedzmq.client.waiting.FIRST", 0.0)
    monkeypatch.setattr("fedzmq.client.session_line.LOOK", 0.05)
    with Broker("tcp://127.0.0.1:0").start() as broker:
        address = broker.address
        worker = Worker(ZeroMQConnection(address, "bob"), silence=2.0)
        worker.start()
        client = connect(address, silence=2.0)
        bob = client.worker("bob")
    with worker, client, ThreadPoolExecutor() as threads:
        asked = threads.submit(bob.data)
        until(lambda: bool(caplog.records), lambda: "no warning")
        with Broker(address).start():
            thread = threading.Thread(target=worker.run)
            thread.start()
            asked.result(timeout=30)
            worker.stop()
            thread.join()

    assert re.fullmatch(
        rf"waiting for worker 'bob' for \d+ s: {address} does not answer; .*", caplog.records[0].getMessage()
    )


def test_of_many_a_few_are_named() -> None:
    assert first_of(f"w{number}" for number in range(9)) == "w0, w1, w2 and 6 more"


def test_that_the_medium_went_and_came_is_said_once_each_however_many_waits_there_are() -> None:
    here = Here()
    clock = Clock()
    client, waiting = cast(Client, here), Waiting(clock)
    said = []
    for away in (False, True, False, True, True, True, False, False):
        here.away = away
        waiting.begin()
        said.append(waiting.change(client))
        clock.now += LOOK

    assert said == [None, None, None, None, f"memory://here {AWAY}", None, f"memory://here {BACK}", None]
