"""Two parties on one machine send past the broker, and nobody who counts on what it carries notices."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from fedzmq.broker.broker import Broker
from fedzmq.session import sharing
from fedzmq.session.endpoint import Endpoint
from fedzmq.session.packet import Lane
from fedzmq.session.session import Peer
from fedzmq.session.shared_memory import MemoryReader, MemoryWriter
from fedzmq.transports.connection import Buffer
from fedzmq.transports.registry import connect
from fedzmq.transports.zeromq import ZeroMQConnection

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "memfd_create") and hasattr(socket, "SO_PEERCRED")), reason="this system has no such memory"
)

PATIENCE = 20.0


class Counted(ZeroMQConnection):
    """It counts the mail that it sends through the broker."""

    mail = 0

    def send(self, to: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        self.mail += 1
        super().send(to, frames, bulk=bulk, donate=donate)


class Two:
    """A client and a worker that answers each message, in one process, as if each had its own."""

    def __init__(self, address: str) -> None:
        self.medium = Counted(address, "client")
        self.client = Endpoint(self.medium, is_worker=False, direct=True)
        self.worker = Endpoint(connect(address, "bob"), is_worker=True, direct=True)
        self.urgent: list[bytes] = []
        self.worker.urgent = lambda arrival: self.urgent.append(bytes(arrival.frames[0]))
        self.until(lambda: self.client.presence.roster.get("bob") is not None)
        self.peer = self.client.open("bob", self.worker.boot)

    def agree(self) -> Two:
        """Ask, until both sides send past the broker."""

        def is_agreed() -> bool:
            self.ask(b"?")
            return self._is_direct(self.client, self.peer) and all(
                self._is_direct(self.worker, peer) for peer in self.worker._sessions.peers
            )

        self.until(is_agreed)
        return self

    def ask(self, question: bytes) -> bytes:
        self.client.post(self.peer, [question])
        answers: list[bytes] = []

        def answer() -> bool:
            while (asked := self.worker.take()) is not None:
                self.worker.post(asked.peer, [b"to ", *asked.frames])
            while (told := self.client.take()) is not None:
                answers.append(b"".join(told.frames))
            return bool(answers)

        self.until(answer)
        return answers[0]

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, "in vain"
            self.worker.pump(0.001)
            self.client.pump(0.001)

    def until_asked(self) -> list[Buffer]:
        """What the worker is asked next."""
        asked: list[Buffer] = []

        def is_asked() -> bool:
            arrival = self.worker.take()
            asked.extend([] if arrival is None else arrival.frames)
            return arrival is not None

        self.until(is_asked)
        return asked

    def close(self) -> None:
        self.client.close()
        self.worker.close()

    @staticmethod
    def _is_direct(endpoint: Endpoint, peer: Peer) -> bool:
        session = endpoint._sessions.get(peer)
        return session is not None and session.socket is not None


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    monkeypatch.setattr(sharing, "attach_to_another", MemoryReader)
    with Broker("tcp://127.0.0.1:0").start() as broker:
        made = Two(broker.address).agree()
        yield made
        made.close()


def test_what_is_small_goes_past_the_broker(two: Two) -> None:
    before = two.medium.mail
    for _ in range(10):
        assert two.ask(b"hello") == b"to hello"
    assert two.medium.mail == before


@pytest.mark.parametrize("size", [20_000, 300_000, 20_000_000])
def test_what_is_large_goes_past_the_broker(two: Two, size: int) -> None:
    before = two.medium.mail
    content = os.urandom(size)
    assert two.ask(content) == b"to " + content
    assert two.medium.mail == before


def test_what_is_urgent_goes_past_the_broker(two: Two) -> None:
    before = two.medium.mail
    two.client.post(two.peer, [b"now"], lane=Lane.CONTROL)
    two.until(lambda: two.urgent == [b"now"])
    assert two.medium.mail == before


@pytest.mark.parametrize("change", ["hear", "unhear"])
def test_the_first_message_after_a_topic_was_changed_goes_behind_that(two: Two, change: str) -> None:
    two.client.hear("news", lambda delivery, now: None)
    two.ask(b"heard")
    if change == "hear":
        two.client.hear("more", lambda delivery, now: None)
    else:
        two.client.unhear("news")
    before = two.medium.mail
    two.ask(b"first")
    assert two.medium.mail == before + 1
    two.ask(b"second")
    assert two.medium.mail == before + 1


def test_a_message_that_waits_while_a_topic_is_changed_goes_behind_that(two: Two) -> None:
    two.client.post(two.peer, [bytes(20_000_000)], donate=True)  # more than there is credit for
    two.client.hear("news", lambda delivery, now: None)
    two.client.post(two.peer, [b"later"])
    before = two.medium.mail
    while two.until_asked() != [b"later"]:
        pass
    assert two.medium.mail > before


def test_what_a_socket_took_and_nobody_read_comes_by_the_broker(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    session = two.client._sessions.get(two.peer)
    assert session is not None
    assert session.socket is not None
    monkeypatch.setattr(session.socket, "send", lambda packet: True)
    two.client.post(two.peer, [b"hello"])
    session.hurry(time.monotonic())
    assert two.until_asked() == [b"hello"]


def test_a_party_that_is_behind_gets_the_rest_by_the_broker_and_in_order(two: Two) -> None:
    before = two.medium.mail
    for number in range(600):
        two.client.post(two.peer, [b"%d" % number])
    assert two.medium.mail > before
    got: list[bytes] = []

    def all_came() -> bool:
        while (asked := two.worker.take()) is not None:
            got.append(bytes(asked.frames[0]))
        return len(got) == 600

    two.until(all_came)
    assert got == [b"%d" % number for number in range(600)]


def test_a_party_whose_session_is_new_agrees_anew(two: Two) -> None:
    two.worker.end(next(iter(two.worker._sessions.peers)), "for a test")
    two.until(lambda: two.client._sessions.get(two.peer) is None or not two.client.post(two.peer, [b"?"]))
    two.peer = two.client.open("bob", two.worker.boot)
    two.agree()
    before = two.medium.mail
    assert two.ask(b"hello") == b"to hello"
    assert two.medium.mail == before


def test_where_there_are_no_sockets_memory_is_shared_alone(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(secret: bytes) -> None:
        raise OSError("no such thing")

    monkeypatch.setattr(sharing, "SocketWriter", none)
    made: list[MemoryWriter] = []
    offering = sharing.Sharing(lambda: made.append(MemoryWriter()) or made[-1])  # type: ignore[func-returns-value]
    offering.want()
    assert offering.offer(0.0) is not None
    offering.was_answered(b"\1")
    assert offering.writer is made[0]
    assert offering.socket is None
    offering.close()
