"""The promises of a transport, one test each. Subclass `TransportContract`, give it an address, and run pytest.

    class TestCarrierPigeons(TransportContract):
        @pytest.fixture
        def address(self):
            with pigeon_loft() as loft:
                yield loft.address

A transport whose medium can be away overrides `outage` as well.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from fedzmq.errors import NameTaken, TransportClosed, UsageError
from fedzmq.transports.connection import Buffer, Connection, Delivery
from fedzmq.transports.registry import connect

PATIENCE = 20.0  # seconds after which a message that does not come counts as lost
LARGE = 1 << 20  # bytes of a frame that no medium can keep in a small buffer

Join = Callable[[str], Connection]
Outage = Callable[[], AbstractContextManager[None]]


class TransportContract:
    """Two fixtures describe a medium: where it is, and how to take it away for a while."""

    @pytest.fixture
    def address(self) -> str:
        """Where parties connect, with a medium of its own for each test."""
        raise NotImplementedError("override the fixture `address`")

    @pytest.fixture
    def outage(self) -> Outage | None:
        """A context in which the medium at `address` is away; None where it cannot be."""
        return None

    @pytest.fixture
    def join(self, address: str) -> Iterator[Join]:
        """Connects a party, waits until mail reaches it, and closes it in the end."""
        opened: list[Connection] = []

        def join(name: str) -> Connection:
            connection = connect(address, name)
            opened.append(connection)
            settle(connection)
            return connection

        yield join
        for connection in opened:
            connection.close()

    def test_mail_arrives_under_the_name_of_its_sender(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("bob", [b"hello"])
        assert expect(bob) == Delivery("alice", None, [b"hello"])

    def test_a_party_can_write_to_itself(self, join: Join) -> None:
        alice = join("alice")
        alice.send("alice", [b"note"])
        assert expect(alice) == Delivery("alice", None, [b"note"])

    @pytest.mark.parametrize("bulk", [False, True], ids=["small", "bulk"])
    @pytest.mark.parametrize(
        "frames",
        [[], [b""], [b"", b"a", b"", b"bc", b""], [b"x" * LARGE, b"", b"y" * LARGE]],
        ids=["none", "one-empty", "some-empty", "large"],
    )
    def test_frame_boundaries_are_kept(self, join: Join, frames: list[Buffer], bulk: bool) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("bob", frames, bulk=bulk)
        assert expect(bob).frames == frames

    @pytest.mark.parametrize("bulk", [False, True], ids=["small", "bulk"])
    def test_mail_of_one_sender_keeps_its_order(self, join: Join, bulk: bool) -> None:
        alice, bob = join("alice"), join("bob")
        for number in range(500):
            alice.send("bob", [b"%d" % number], bulk=bulk)
        assert [bytes(expect(bob).frames[0]) for _ in range(500)] == [b"%d" % number for number in range(500)]

    def test_small_and_bulk_mail_both_arrive(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        for number in range(20):
            alice.send("bob", [b"large %d" % number, bytes(LARGE)], bulk=True)
            alice.send("bob", [b"small %d" % number])
        heads = {bytes(expect(bob).frames[0]) for _ in range(40)}
        assert heads == {b"%s %d" % (size, number) for size in (b"large", b"small") for number in range(20)}

    def test_each_message_arrives_once(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("bob", [b"once"])
        alice.send("bob", [b"last"])
        assert [bytes(delivery.frames[0]) for delivery in until(bob, b"last")] == [b"once", b"last"]

    def test_mail_for_nobody_is_dropped(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("nobody", [b"lost"])
        alice.send("bob", [b"found"])
        assert expect(bob).frames == [b"found"]

    @pytest.mark.parametrize("size", [5, LARGE], ids=["small", "large"])
    @pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))], ids=["bytearray", "view"])
    def test_memory_is_the_callers_again_after_send(
        self, join: Join, kind: Callable[[bytes], bytearray | memoryview], size: int
    ) -> None:
        alice, bob = join("alice"), join("bob")
        memory = kind(b"a" * size)
        alice.send("bob", [memory], bulk=size == LARGE)
        memory[:] = b"b" * size
        assert bytes(expect(bob).frames[0]) == b"a" * size

    def test_memory_is_the_callers_again_after_publish(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        memory = bytearray(b"a" * LARGE)
        alice.publish("news", [memory])
        memory[:] = b"b" * LARGE
        assert bytes(expect(bob).frames[0]) == b"a" * LARGE

    @pytest.mark.parametrize("size", [0, 5, LARGE], ids=["empty", "small", "large"])
    def test_donated_memory_arrives(self, join: Join, size: int) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("bob", [memoryview(bytearray(size)), memoryview(bytes(size))], bulk=True, donate=True)
        assert [bytes(frame) for frame in expect(bob).frames] == [bytes(size), bytes(size)]

    def test_a_topic_reaches_every_other_subscriber(self, join: Join) -> None:
        parties = [join(name) for name in ("alice", "bob", "carol")]
        for party in parties:
            listen(party, "news")
        alice, bob, carol = parties
        alice.publish("news", [b"a", b""])
        alice.send("alice", [b"end"])
        assert expect(bob) == expect(carol) == Delivery("alice", "news", [b"a", b""])
        assert expect(alice).frames == [b"end"]

    def test_a_topic_reaches_nobody_who_did_not_subscribe(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        alice.publish("weather", [b"rain"])
        alice.publish("news", [b"peace"])
        assert expect(bob) == Delivery("alice", "news", [b"peace"])

    def test_two_subscriptions_are_one(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        bob.subscribe("news")
        listen(bob, "news")
        alice.publish("news", [b"one"])
        alice.publish("news", [b"two"])
        assert [bytes(delivery.frames[0]) for delivery in until(bob, b"two")] == [b"one", b"two"]

    def test_bulk_on_a_topic_arrives_in_order(self, join: Join) -> None:
        alice, bob, carol = join("alice"), join("bob"), join("carol")
        listen(bob, "news")
        listen(carol, "news")
        for number in range(50):
            alice.publish("news", [b"%d" % number, bytes(LARGE // 16)], bulk=True)
        for party in (bob, carol):
            got = [expect(party) for _ in range(50)]
            assert [bytes(delivery.frames[0]) for delivery in got] == [b"%d" % number for number in range(50)]
            assert {(delivery.sender, delivery.topic) for delivery in got} == {("alice", "news")}

    def test_bulk_on_a_topic_does_not_delay_what_is_small(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        for number in range(32):
            alice.publish("news", [b"large %d" % number, bytes(2 * LARGE)], bulk=True)
        alice.publish("news", [b"small"])
        heads = [bytes(delivery.frames[0]) for delivery in until(bob, b"small")]
        heads += [bytes(expect(bob).frames[0]) for _ in range(33 - len(heads))]
        assert sorted(heads) == sorted([b"small", *(b"large %d" % number for number in range(32))])

    @pytest.mark.parametrize("size", [0, 5, LARGE], ids=["empty", "small", "large"])
    def test_memory_that_was_donated_to_a_topic_arrives(self, join: Join, size: int) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        alice.publish("news", [memoryview(bytes(size)), bytes(size)], bulk=True, donate=True)
        assert [bytes(frame) for frame in expect(bob).frames] == [bytes(size), bytes(size)]

    def test_a_topic_reaches_nobody_who_unsubscribed(self, join: Join) -> None:
        alice, bob, carol = join("alice"), join("bob"), join("carol")
        listen(bob, "news")
        listen(bob, "news")
        listen(carol, "news")
        bob.unsubscribe("news")
        settle(bob)
        alice.publish("news", [b"one"])
        alice.send("bob", [b"end"])
        assert expect(bob).frames == [b"end"]
        assert expect(carol).frames == [b"one"]

    def test_who_unsubscribed_may_subscribe_again(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        bob.unsubscribe("news")
        listen(bob, "news")
        alice.publish("news", [b"again"])
        assert expect(bob).frames == [b"again"]

    def test_unsubscribing_from_one_topic_leaves_the_others(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        listen(bob, "weather")
        bob.unsubscribe("news")
        settle(bob)
        alice.publish("news", [b"war"])
        alice.publish("weather", [b"rain"])
        assert expect(bob) == Delivery("alice", "weather", [b"rain"])

    def test_unsubscribing_is_fine_without_a_subscription(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        bob.unsubscribe("news")
        alice.send("bob", [b"hello"])
        assert expect(bob).frames == [b"hello"]

    def test_mail_says_that_its_sender_subscribed_before(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        for number in range(20):
            bob.subscribe(f"news-{number}")
            bob.send("alice", [b"subscribed"])
            expect(alice)
            alice.publish(f"news-{number}", [b"one"])
            assert expect(bob).frames == [b"one"]
            bob.unsubscribe(f"news-{number}")
            bob.send("alice", [b"unsubscribed"])
            expect(alice)
            alice.publish(f"news-{number}", [b"two"])

    def test_an_empty_mailbox_gives_none(self, join: Join) -> None:
        alice = join("alice")
        assert alice.recv(0) is None
        assert alice.recv(0.01) is None

    def test_mail_ends_a_wait(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        with thread(lambda: alice.send("bob", [b"hello"])):
            assert expect(bob, wait=None).frames == [b"hello"]

    def test_wake_ends_a_wait(self, join: Join) -> None:
        alice = join("alice")
        with thread(alice.wake):
            assert alice.recv(None) is None

    def test_wake_ends_the_next_wait_too(self, join: Join) -> None:
        alice = join("alice")
        alice.wake()
        assert alice.recv(None) is None

    def test_any_thread_may_send(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")

        def burst(worker: int) -> Callable[[], None]:
            def send_all() -> None:
                for number in range(100):
                    alice.send("bob", [b"%d" % worker, b"%d" % number])

            return send_all

        with thread(burst(0)), thread(burst(1)), thread(burst(2)):
            got = [tuple(bytes(frame) for frame in expect(bob).frames) for _ in range(300)]
        for worker in range(3):
            mine = [number for sender, number in got if sender == b"%d" % worker]
            assert mine == [b"%d" % number for number in range(100)]

    def test_sending_hides_nothing_from_a_receiver_that_waits(self, join: Join) -> None:
        """A receiver waits for answers to what another thread sends on the same connection."""
        alice, bob = join("alice"), join("bob")
        answered = threading.Semaphore(0)

        def ask() -> None:
            for number in range(300):
                alice.send("bob", [b"%d" % number])
                if not answered.acquire(timeout=PATIENCE):
                    return

        def answer() -> None:
            for _ in range(300):
                bob.send("alice", expect(bob).frames)

        with thread(ask), thread(answer):
            for number in range(300):
                assert expect(alice, wait=None).frames == [b"%d" % number]
                answered.release()

    def test_a_living_holder_keeps_its_name(self, address: str, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        with connect(address, "bob") as second:
            with pytest.raises(NameTaken, match="'bob'"):
                expect(second)
            with pytest.raises(NameTaken):
                second.recv(0)
            second.send("alice", [b"forged"])
            alice.send("bob", [b"hello"])
            assert expect(bob).frames == [b"hello"]
            bob.send("alice", [b"true"])
            assert expect(alice).frames == [b"true"]

    def test_a_name_is_free_after_close(self, join: Join) -> None:
        alice = join("alice")
        join("bob").close()
        second = join("bob")
        alice.send("bob", [b"hello"])
        assert expect(second) == Delivery("alice", None, [b"hello"])

    def test_a_name_of_the_wrong_form_is_refused(self, address: str) -> None:
        for name in ("", "a b", "a/b", "x" * 65, "b\u00f6b", "broker"):
            with pytest.raises(UsageError):
                connect(address, name)

    def test_nobody_publishes_in_the_name_of_the_medium(self, join: Join) -> None:
        with pytest.raises(UsageError):
            join("alice").publish("departures", [b"bob"])

    def test_every_call_after_close_says_so(self, join: Join) -> None:
        alice = join("alice")
        alice.close()
        calls: list[Callable[[], object]] = [
            lambda: alice.send("bob", []),
            lambda: alice.publish("news", []),
            lambda: alice.subscribe("news"),
            lambda: alice.unsubscribe("news"),
            lambda: alice.recv(0),
            alice.wake,
            alice.silent_for,
        ]
        for call in calls:
            with pytest.raises(TransportClosed):
                call()

    def test_close_is_fine_twice(self, join: Join) -> None:
        alice = join("alice")
        alice.close()
        alice.close()

    def test_close_ends_a_wait(self, join: Join) -> None:
        alice = join("alice")
        with thread(alice.close), pytest.raises(TransportClosed):
            alice.recv(None)

    def test_a_sign_of_life_is_recent_after_mail(self, join: Join) -> None:
        alice = join("alice")
        before = time.monotonic()
        alice.send("alice", [b"note"])
        expect(alice)
        assert 0.0 <= alice.silent_for() <= time.monotonic() - before

    def test_connecting_needs_no_medium(self, address: str, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        with outage():
            alice = connect(address, "alice")
            assert alice.recv(0) is None
            alice.send("alice", [b"lost"])
        with alice:
            settle(alice)

    def test_a_medium_that_was_never_there_has_been_silent_for_ever(self, address: str, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        with outage(), connect(address, "alice") as alice:
            assert alice.recv(0.1) is None
            assert alice.silent_for() == math.inf

    def test_a_medium_that_comes_back_is_found_again(self, join: Join, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        alice, bob = join("alice"), join("bob")
        with outage():
            pass
        settle(bob)
        settle(alice)
        alice.send("bob", [b"again"])
        assert expect(bob) == Delivery("alice", None, [b"again"])

    def test_subscriptions_outlive_an_outage(self, join: Join, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        with outage():
            pass
        settle(bob)
        settle(alice)
        alice.publish("news", [b"again"])
        assert expect(bob) == Delivery("alice", "news", [b"again"])

    def test_an_outage_brings_no_subscription_back(self, join: Join, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        bob.unsubscribe("news")
        with outage():
            pass
        settle(bob)
        settle(alice)
        alice.publish("news", [b"again"])
        alice.send("bob", [b"end"])
        assert expect(bob).frames == [b"end"]

    def test_what_is_sent_during_an_outage_is_dropped(self, join: Join, outage: Outage | None) -> None:
        if outage is None:
            pytest.skip("this medium is never away")
        alice, bob = join("alice"), join("bob")
        with outage():
            silence = alice.silent_for()
            while alice.silent_for() < silence + 0.1:
                alice.recv(0.05)
            alice.send("bob", [b"lost"])
            alice.publish("news", [b"lost"])
        settle(bob)
        settle(alice)
        alice.send("bob", [b"found"])
        assert expect(bob).frames == [b"found"]


def expect(connection: Connection, wait: float | None = PATIENCE) -> Delivery:
    """The next message, which must come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        delivery = connection.recv(wait)
        if delivery is not None:
            return delivery
    raise AssertionError(f"nothing came to {connection.name!r} in {PATIENCE:g} s")


def until(connection: Connection, last: bytes) -> list[Delivery]:
    """All messages up to one whose first frame is `last`."""
    got = [expect(connection)]
    while not got[-1].frames or bytes(got[-1].frames[0]) != last:
        got.append(expect(connection))
    return got


def settle(connection: Connection) -> None:
    """Wait until the medium takes and delivers the connection's mail, and leave nothing of that in its mailbox."""
    for bulk in (False, True):
        token = uuid.uuid4().bytes
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            connection.send(connection.name, [token, b"probe"], bulk=bulk)
            if connection.recv(0.05) is not None:
                break
        last = uuid.uuid4().bytes
        connection.send(connection.name, [last], bulk=bulk)
        until(connection, last)


def listen(connection: Connection, topic: str) -> None:
    """Subscribe, and wait until the medium knows."""
    connection.subscribe(topic)
    settle(connection)


class thread:  # noqa: N801 - reads as a statement: with thread(call): ...
    """Runs a call in a thread, joins it in the end, and fails the test with what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *raised: object) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread did not end"
        if self._error is not None and raised[0] is None:
            raise self._error

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self._error = error
