"""`tcp://` and `ipc://`: the contract with a broker in a thread, and what only a broker can do to a connection."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from fedzmq.broker.broker import Broker
from fedzmq.errors import AddressError, LimitExceeded
from fedzmq.testing.conformance import TransportContract
from fedzmq.testing.conformance.medium import Outage
from fedzmq.testing.conformance.parties import expect, settle
from fedzmq.transports.connection import Delivery
from fedzmq.transports.dealer import Dealer
from fedzmq.transports.route import MOST_FRAME_BYTES, MOST_NOTE_BYTES
from fedzmq.transports.zeromq import ZeroMQConnection, connect


class Place:
    """A broker that can be taken away and brought back to the same address."""

    def __init__(self, listen: str) -> None:
        self.broker = Broker(listen).start()
        self.address = self.broker.address

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.broker.close()
        yield
        self.broker = Broker(self.address).start()


class ZeroMQContract(TransportContract):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        raise NotImplementedError

    @pytest.fixture
    def address(self, place: Place) -> str:
        return place.address

    @pytest.fixture
    def outage(self, place: Place) -> Outage | None:
        return place.outage


class TestTcp(ZeroMQContract):
    @pytest.fixture
    def place(self) -> Iterator[Place]:
        place = Place("tcp://127.0.0.1:0")
        yield place
        place.broker.close()


class TestIpc(ZeroMQContract):
    @pytest.fixture
    def place(self, short_folder: Path) -> Iterator[Place]:
        place = Place(f"ipc://{short_folder}/broker.sock")
        yield place
        place.broker.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """pytest's own folders are too deep for the path of a socket on some systems."""
    with tempfile.TemporaryDirectory(prefix="fz") as folder:
        yield Path(folder)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker("tcp://127.0.0.1:0").start() as broker:
        yield broker


@pytest.fixture
def alice(broker: Broker) -> Iterator[ZeroMQConnection]:
    with connect(broker.address, "alice") as connection:
        settle(connection)
        yield connection


@pytest.mark.parametrize(
    "address",
    [
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://:5555",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:*",
        "tcp://*:5555",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:port",
        "tcp://a b:5555",
        "tcp://127.0.0.1:5555/path",
        "ipc://",
        "ipc://*",
        "ipc:///tmp/" + "x" * 200,
        "udp://127.0.0.1:5555",
    ],
)
def test_an_address_of_the_wrong_form_is_refused(address: str) -> None:
    with pytest.raises(AddressError) as caught:
        connect(address, "alice")
    assert repr(address) in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://localhost:5555", "tcp://[::1]:5555", "ipc:///tmp/nobody-listens-here"])
def test_an_address_of_the_right_form_needs_nobody_there(address: str) -> None:
    with connect(address, "alice") as alice:
        assert alice.recv(0) is None


def test_a_host_that_does_not_exist_holds_nobody_up() -> None:
    alice = connect("tcp://no-such-host.invalid:5555", "alice")
    alice.send("bob", [b"lost"])
    assert alice.recv(0) is None
    alice.close()


def test_a_frame_that_is_too_large_is_an_error_of_the_sender(alice: ZeroMQConnection) -> None:
    with pytest.raises(LimitExceeded, match=str(MOST_FRAME_BYTES)):
        alice.send("alice", [bytes(MOST_FRAME_BYTES + 1)])
    alice.send("alice", [bytes(MOST_FRAME_BYTES)], bulk=True)
    assert len(expect(alice).frames[0]) == MOST_FRAME_BYTES


def test_bulk_gets_its_turn_in_a_flood_of_the_rest(alice: ZeroMQConnection) -> None:
    for _ in range(100):
        alice.send("alice", [b"small"])
    alice.send("alice", [b"bulk"], bulk=True)
    alice.send("alice", [b"end"])
    got: list[bytes] = []
    while len(got) < 102:
        got.append(bytes(expect(alice).frames[0]))
    assert sorted(set(got)) == [b"bulk", b"end", b"small"]


@pytest.mark.parametrize("size", [0, MOST_NOTE_BYTES, MOST_NOTE_BYTES + 1])
@pytest.mark.parametrize("more", [[], [b""], [b"\0", bytes(MOST_NOTE_BYTES)]])
def test_a_small_frame_that_travels_with_the_route_arrives_like_any_other(
    alice: ZeroMQConnection, size: int, more: list[bytes]
) -> None:
    alice.send("alice", [bytes(size), *more])
    alice.send("alice", [])
    assert expect(alice).frames == [bytes(size), *more]
    assert expect(alice).frames == []


def test_an_interrupt_in_the_middle_of_a_message_costs_that_message_alone(
    broker: Broker, alice: ZeroMQConnection
) -> None:
    class Interrupting(list[bytes]):
        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, slice):
                raise KeyboardInterrupt
            return super().__getitem__(index)

    with connect(broker.address, "bob") as bob:
        settle(bob)
        with pytest.raises(KeyboardInterrupt):
            alice.send("bob", Interrupting([bytes(MOST_NOTE_BYTES + 1), b"apart"]))
        settle(alice)
        alice.send("bob", [b"whole"])
        assert expect(bob) == Delivery("alice", None, [b"whole"])


def test_a_channel_that_finds_no_descriptor_when_it_begins_anew_tries_again(
    alice: ZeroMQConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(kind: int) -> None:
        raise zmq.ZMQError(errno.EMFILE)

    settle(alice)
    alice._control._half_sent = True  # as an interrupt leaves it
    with monkeypatch.context() as patch:
        patch.setattr(alice._context, "socket", full)
        alice.send("alice", [b"lost"])
        alice.send("alice", [b"lost"])
        assert alice.recv(0) is None
    settle(alice)
    alice.send("alice", [b"here"])
    assert expect(alice).frames == [b"here"]


def test_an_interrupt_in_the_middle_of_a_receipt_costs_that_message_alone(alice: ZeroMQConnection) -> None:
    alice.send("alice", [b"torn", b"apart"])
    alice.send("alice", [b"whole"])
    dealer = alice._control
    while not dealer.look():
        pass
    dealer._socket.recv()
    dealer._half_received = True  # as an interrupt leaves it
    assert expect(alice).frames == [b"whole"]


def test_what_a_broker_says_of_no_known_form_is_dropped(alice: ZeroMQConnection) -> None:
    for head in (b"", b"\xff", b"M\xff", b"T\xff", b"R\x00\x00"):
        assert alice._interpret(alice._control, head, []) is None
    assert alice.dropped == 5


def test_a_closed_connection_leaves_no_descriptor_open(broker: Broker) -> None:
    folder = "/proc/self/fd"
    if sys.platform != "linux":
        pytest.skip("descriptors are counted in /proc")
    with connect(broker.address, "warm-up") as warm:
        settle(warm)
    before = len(os.listdir(folder))
    for number in range(5):
        with connect(broker.address, f"party-{number}") as party:
            settle(party)
    # The broker's ends go a moment after ours: count until they did.
    for _ in range(1000):
        if len(os.listdir(folder)) <= before:
            return
        threading.Event().wait(0.01)
    raise AssertionError("descriptors stayed open")


def test_one_hello_answers_a_burst_of_who(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    hellos: list[bytes] = []
    put = Dealer.put

    def counting(self: Dealer, route: bytes, frames: object = (), donate: bool = False) -> bool:
        if route[:1] == b"H":
            hellos.append(route)
        return put(self, route, frames, donate)  # type: ignore[arg-type]

    with connect(broker.address, "alice") as alice:
        settle(alice)
        member = broker.directory.holder("alice")
        assert member is not None
        monkeypatch.setattr(Dealer, "put", counting)
        broker.directory.remove(member)  # as if the broker were another
        for _ in range(50):
            alice.send("alice", [b"lost"])
        settle(alice)
    assert 1 <= len(hellos) <= 10
