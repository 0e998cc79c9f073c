"""The broker against peers that die, hang, lie and come back."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from fedzmq.broker.broker import Broker
from fedzmq.errors import AddressError, AddressInUse, NameTaken, ProtocolError, TransportClosed, UsageError
from fedzmq.testing.benchmarks.memory import Watched
from fedzmq.testing.conformance.parties import PATIENCE, expect, listen, settle, until
from fedzmq.transports.connection import PARTIES, Connection, Delivery
from fedzmq.transports.party import parse as parse_party
from fedzmq.transports.registry import connect
from fedzmq.transports.route import (
    INSTANCE_BYTES,
    NOTE,
    VERSION,
    Channel,
    Hello,
    Mail,
    Ping,
    Reason,
    Refuse,
    Route,
    Subscribe,
    Topic,
    Welcome,
    Who,
    decode,
    encode,
)

SERVE = """
import sys
from fedzmq.broker.broker import Broker
broker = Broker(sys.argv[1])
print(broker.address, flush=True)
broker.serve()
"""


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker("tcp://127.0.0.1:0").start() as broker:
        yield broker


class Peer:
    """A ZeroMQ socket that says what it is told to, whether or not a fedzmq would."""

    def __init__(self, address: str, room: int = 1000) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, room)
        self._socket.connect(address)

    def say(self, *frames: bytes) -> None:
        self._socket.send_multipart(frames)

    def hear(self) -> Route:
        assert self._socket.poll(int(PATIENCE * 1000)), "the broker said nothing"
        head = self._socket.recv_multipart()[0]
        return decode(head.partition(NOTE)[0] if head[:1] == b"M" else head)

    def hear_but_pings(self) -> Route:
        while (route := self.hear()) == Ping():
            pass
        return route

    def hello(self, name: str, instance: bytes = b"i" * INSTANCE_BYTES, channel: Channel = Channel.CONTROL) -> Route:
        self.say(encode(Hello(name, instance, channel)))
        return self.hear_but_pings()

    def die(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def peer(broker: Broker) -> Iterator[Peer]:
    peer = Peer(broker.address)
    yield peer
    peer.die()


@contextmanager
def joined(broker: Broker, name: str) -> Iterator[Connection]:
    with connect(broker.address, name) as connection:
        settle(connection)
        yield connection


def departures(connection: Connection) -> Iterator[tuple[bytes, bytes]]:
    while True:
        delivery = expect(connection)
        if delivery.topic == "departures":
            assert delivery.sender == "broker"
            yield bytes(delivery.frames[0]), bytes(delivery.frames[2])


@contextmanager
def process(address: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker in a process of its own, and the address that it bound."""
    broker = subprocess.Popen([sys.executable, "-c", SERVE, address], stdout=subprocess.PIPE, text=True)
    assert broker.stdout is not None
    try:
        yield broker, broker.stdout.readline().strip()
    finally:
        broker.kill()
        broker.wait()
        broker.stdout.close()


def test_port_zero_becomes_a_real_port() -> None:
    for listen_at in ("tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "tcp://localhost:0"):
        with Broker(listen_at) as broker:
            assert int(broker.address.removeprefix("tcp://127.0.0.1:")) > 0


def test_a_port_in_use_is_an_error_of_ours(broker: Broker) -> None:
    with pytest.raises(AddressInUse, match="another process listens"):
        Broker(broker.address)


def test_a_path_in_use_is_an_error_of_ours() -> None:
    with tempfile.TemporaryDirectory(prefix="fz") as folder:
        address = f"ipc://{folder}/broker"
        with Broker(address).start() as broker, joined(broker, "alice") as alice:
            with pytest.raises(AddressInUse):
                Broker(address)
            alice.send("alice", [b"still here"])
            assert expect(alice).frames == [b"still here"]


def test_a_path_that_a_dead_broker_left_is_free() -> None:
    with tempfile.TemporaryDirectory(prefix="fz") as folder:
        path = Path(folder) / "broker"
        with process(f"ipc://{path}") as (dead, _):
            dead.kill()
            dead.wait()
        assert path.exists()
        with Broker(f"ipc://{path}").start() as broker, joined(broker, "alice"):
            pass
        assert not path.exists()


@pytest.mark.parametrize("address", ["tcp://*:0", "tcp://0.0.0.0:0", "tcp://[::]:0"])
def test_other_machines_are_let_in_only_when_told(address: str) -> None:
    with pytest.raises(UsageError, match="neither encrypted nor authenticated"):
        Broker(address)


def test_other_machines_are_let_in_when_told() -> None:
    with Broker("tcp://0.0.0.0:0", allow_remote=True) as broker:
        assert broker.address.startswith("tcp://0.0.0.0:")


def test_an_address_where_nothing_can_listen_is_an_error_of_ours() -> None:
    with pytest.raises(AddressError, match=r"there is no folder /no-such-folder$"):
        Broker("ipc:///no-such-folder/broker")


def test_stop_ends_serve() -> None:
    with Broker("tcp://127.0.0.1:0") as broker:
        timer = threading.Timer(0.05, broker.stop)
        timer.start()
        broker.serve()
        timer.join()


def test_a_stop_before_serve_is_not_forgotten() -> None:
    with Broker("tcp://127.0.0.1:0") as broker:
        broker.stop()
        broker.serve()


def test_a_closed_broker_does_not_serve() -> None:
    broker = Broker("tcp://127.0.0.1:0")
    broker.close()
    broker.close()
    with pytest.raises(TransportClosed):
        broker.serve()


def test_who_comes_and_goes_is_reported() -> None:
    lines: list[str] = []
    with Broker("tcp://127.0.0.1:0", report=lines.append).start() as broker, joined(broker, "alice") as alice:
        alice.publish("news", [])
        alice.subscribe("departures")
        with joined(broker, "bob") as bob:
            bob.publish("news", [])
            bob.publish("news", [])
        assert next(departures(alice)) == (b"bob", b"left")
    assert lines[:3] == ["alice joined", "bob joined", "bob left"]


def test_a_party_that_dies_is_announced(broker: Broker, peer: Peer) -> None:
    with joined(broker, "alice") as alice:
        listen(alice, "departures")
        assert isinstance(peer.hello("bob"), Welcome)
        peer.die()
        assert next(departures(alice)) == (b"bob", b"lost")


def test_the_name_of_a_party_that_died_is_free_at_once(broker: Broker, peer: Peer) -> None:
    peer.hello("bob")
    peer.die()
    with joined(broker, "bob"):
        pass


def test_the_name_of_a_living_party_is_refused(broker: Broker, peer: Peer) -> None:
    with joined(broker, "bob"):
        assert peer.hello("bob") == Refuse(Reason.NAME_TAKEN)


def test_the_name_of_a_party_that_says_nothing_is_given_away() -> None:
    shift = 0.0
    with (
        Broker("tcp://127.0.0.1:0", silence=10.0, clock=lambda: time.monotonic() + shift).start() as broker,
        joined(broker, "bob") as first,
        joined(broker, "alice") as alice,
    ):
        listen(alice, "departures")
        first.send("alice", [b"seated"], bulk=True)  # both of its channels have been heard before the time shifts
        expect(alice)
        shift = 11.0
        with joined(broker, "bob") as second:
            assert next(departures(alice)) == (b"bob", b"lost")
            alice.send("bob", [b"hello"])
            assert expect(second) == Delivery("alice", None, [b"hello"])
            with pytest.raises(NameTaken):
                expect(first)


def test_a_refused_party_gets_the_name_when_it_is_free(broker: Broker) -> None:
    first = connect(broker.address, "bob")
    settle(first)
    with connect(broker.address, "bob") as second:
        with pytest.raises(NameTaken):
            expect(second)
        first.close()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                second.recv(0.05)
                break
            except NameTaken:
                threading.Event().wait(0.02)
        settle(second)


@pytest.mark.parametrize("name", ["", "no spaces", "broker", "x" * 65])
def test_a_name_of_the_wrong_form_is_refused(peer: Peer, name: str) -> None:
    assert peer.hello(name) == Refuse(Reason.BAD_NAME)


def test_another_version_is_refused_and_told_ours(peer: Peer) -> None:
    peer.say(b"H\x63" + bytes(40))
    assert peer.hear() == Refuse(Reason.VERSION, VERSION)


def test_a_connection_explains_that_the_versions_differ(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.broker.broker.VERSION", VERSION + 1)
    with connect(broker.address, "alice") as alice, pytest.raises(ProtocolError, match="same fedzmq on both sides"):
        expect(alice)


def test_a_stranger_is_asked_who_it_is(peer: Peer) -> None:
    for route in (Ping(), Mail("alice")):
        peer.say(encode(route), b"frame")
        assert peer.hear() == Who()
    peer.say(encode(Mail("alice")) + NOTE + bytes(1000))
    assert peer.hear() == Who()


def test_mail_with_more_behind_its_note_is_dropped(broker: Broker, peer: Peer) -> None:
    with joined(broker, "alice") as alice:
        peer.hello("mallory")
        peer.say(encode(Mail("alice")) + NOTE + b"note", encode(Mail("bob")) + NOTE + b"from bob, honestly")
        peer.say(encode(Mail("alice")), b"true")
        assert expect(alice) == Delivery("mallory", None, [b"true"])
        assert broker.dropped == 1


def test_a_stranger_cannot_write(broker: Broker, peer: Peer) -> None:
    with joined(broker, "alice") as alice:
        peer.say(encode(Mail("alice")), b"forged")
        assert peer.hear() == Who()
        alice.send("alice", [b"true"])
        assert expect(alice).frames == [b"true"]


def test_the_sender_of_mail_is_who_the_broker_knows(broker: Broker, peer: Peer) -> None:
    with joined(broker, "alice") as alice:
        peer.hello("mallory")
        peer.say(encode(Mail("alice")), b"from bob, honestly")
        assert expect(alice).sender == "mallory"


def test_nobody_speaks_for_the_medium(broker: Broker, peer: Peer) -> None:
    with joined(broker, "alice") as alice:
        listen(alice, "departures")
        peer.hello("mallory")
        peer.say(b"Pdepartures", b"bob")
        peer.say(encode(Topic("departures", "broker")), b"bob")
        peer.say(encode(Mail("alice")), b"end")
        assert expect(alice).frames == [b"end"]
    assert broker.dropped >= 2


def test_messages_of_no_known_form_are_counted_and_harm_nobody(broker: Broker, peer: Peer) -> None:
    before = broker.dropped
    junk = [b"", b"\xff", b"H", b"M\xff", b"W" * 9, b"\xfe" + os.urandom(300), b"x" * 100_000]
    for head in junk:
        peer.say(head, b"rest", b"")
        peer.say(head)
    peer.say(encode(Ping()))
    assert peer.hear_but_pings() == Who()  # the answer to any of them: the rest may still be on its way
    end = time.monotonic() + PATIENCE
    while broker.dropped - before < 10 and time.monotonic() < end:
        time.sleep(0.01)
    assert broker.dropped - before >= 10
    with joined(broker, "alice"):
        pass


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\xff" + bytes(8) + b"\x7f\x03" + bytes(200), b"\xff" * 5000],
    ids=["http", "zeros", "half-greeting", "ones"],
)
def test_bytes_that_are_not_zeromq_harm_nobody(broker: Broker, data: bytes) -> None:
    host, _, port = broker.address.removeprefix("tcp://").partition(":")
    with socket.create_connection((host, int(port))) as raw, joined(broker, "alice") as alice:
        raw.sendall(data)
        settle(alice)


def test_one_peer_under_two_names_is_only_the_second(broker: Broker, peer: Peer) -> None:
    peer.hello("one")
    assert isinstance(peer.hello("two"), Welcome)
    with joined(broker, "one"):
        pass


def test_a_slow_reader_delays_nobody_and_loses_nothing(broker: Broker) -> None:
    with joined(broker, "alice") as alice, joined(broker, "slow") as slow, joined(broker, "carol") as carol:
        for number in range(300):
            alice.send("slow", [b"%d" % number, bytes(64 * 1024)], bulk=True)
            alice.send("slow", [b"%d" % number])
        alice.send("carol", [b"hello"], bulk=True)
        assert expect(carol).frames == [b"hello"]
        got = [expect(slow) for _ in range(600)]
        for size in (1, 2):
            assert [int(bytes(d.frames[0])) for d in got if len(d.frames) == size] == list(range(300))


def test_bulk_is_dropped_rather_than_sent_over_the_other_channel(broker: Broker, peer: Peer) -> None:
    peer.hello("control-only")
    with joined(broker, "alice") as alice:
        alice.send("control-only", [b"large"], bulk=True)
        alice.send("control-only", [b"small"])
        assert peer.hear_but_pings() == Mail("alice")


def test_where_nobody_else_can_come_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def none_left(descriptor: int) -> int:
        looks.append(descriptor)
        raise OSError(errno.EMFILE, "Too many open files")

    said: list[str] = []
    with Broker("tcp://127.0.0.1:0", report=said.append) as broker:
        monkeypatch.setattr("fedzmq.broker.broker.os.dup", none_left)
        broker.start()
        end = time.monotonic() + PATIENCE
        while len(looks) < 2 and time.monotonic() < end:
            time.sleep(0.01)

    assert said == ["nobody else can come: Too many open files; allow this process more of them (ulimit -n)"]


def test_whoever_hears_it_is_told_who_is_connected(broker: Broker, peer: Peer) -> None:
    peer.hello("control-only")
    with joined(broker, "alice") as alice:
        alice.send("control-only", [b"large"], bulk=True)
        alice.subscribe(PARTIES)
        while (delivery := expect(alice)).topic != PARTIES:
            pass
        here, other = sorted(map(parse_party, delivery.frames), key=lambda party: party.name)

    assert delivery.sender == "broker"
    assert (here.name, here.dropped, other.name, other.dropped) == ("alice", 0, "control-only", 1)
    assert (here.hears, other.hears) == ({PARTIES}, frozenset())
    assert 0 <= other.silent <= other.here
    assert here.here <= other.here


def test_a_broker_that_was_killed_and_started_again_is_found() -> None:
    with (
        process("tcp://127.0.0.1:0") as (first, address),
        connect(address, "alice") as alice,
        connect(address, "bob") as bob,
    ):
        settle(alice)
        listen(bob, "news")
        first.kill()
        first.wait()
        with process(address):
            settle(bob)
            settle(alice)
            alice.publish("news", [b"again"])
            alice.send("bob", [b"end"])
            assert [delivery.topic for delivery in until(bob, b"end")] == ["news", None]


def test_a_connection_keeps_its_name_over_a_broken_link(broker: Broker, peer: Peer) -> None:
    """The same instance comes back over another socket while the broker still knows the first."""
    peer.hello("bob", channel=Channel.BULK)
    peer.hello("bob", channel=Channel.CONTROL)
    again = Peer(broker.address)
    try:
        assert isinstance(again.hello("bob"), Welcome)
        with joined(broker, "alice") as alice:
            alice.send("bob", [b"hello"])
            assert again.hear_but_pings() == Mail("alice")
    finally:
        again.die()


def test_bulk_on_a_topic_comes_on_the_bulk_channel_alone(broker: Broker) -> None:
    control, bulk = Peer(broker.address), Peer(broker.address)
    try:
        control.hello("bob")
        bulk.hello("bob", channel=Channel.BULK)
        control.say(encode(Subscribe("models")))
        control.say(encode(Mail("bob")))  # once this is back, the broker knows
        assert control.hear_but_pings() == Mail("bob")
        with joined(broker, "alice") as alice:
            alice.publish("models", [b"a chunk"], bulk=True)
            assert bulk.hear_but_pings() == Topic("models", "alice")
            alice.publish("models", [b"a word"])
            assert control.hear_but_pings() == Topic("models", "alice")
    finally:
        control.die()
        bulk.die()


def deaf(address: str, name: str) -> Peer:
    """A subscriber to models that reads nothing, as a process does that hangs."""
    peer = Peer(address, room=1)
    peer.hello(name, instance=name.encode().ljust(INSTANCE_BYTES), channel=Channel.BULK)
    peer.say(encode(Subscribe("models")))
    peer.say(encode(Mail(name)))  # once this is back, the broker knows
    assert peer.hear_but_pings() == Mail(name)
    return peer


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells how much memory a process has")
def test_what_many_do_not_read_is_held_once() -> None:
    size, count = 512 * 1024, 32
    with process("tcp://127.0.0.1:0") as (broker, address):
        subscribers = [deaf(address, f"bob{number}") for number in range(20)]
        try:
            with connect(address, "alice") as alice:
                settle(alice)
                before = Watched(broker.pid).resident
                for _ in range(count):
                    alice.publish("models", [os.urandom(size)], bulk=True, donate=True)
                settle(alice)
                after = Watched(broker.pid).resident
        finally:
            for subscriber in subscribers:
                subscriber.die()
    assert before is not None
    assert after is not None
    assert after - before < 3 * count * size
