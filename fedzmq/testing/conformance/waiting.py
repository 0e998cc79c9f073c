"""What a transport promises to who waits for mail: what ends a wait, and that any thread may send meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fedzmq.errors import TransportClosed
from fedzmq.testing.conformance.medium import Join, Medium
from fedzmq.testing.conformance.parties import PATIENCE, expect, thread
from fedzmq.transports.connection import Connection, Delivery


class Waiting(Medium):
    """One thread that receives, and others."""

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

    def test_close_ends_a_wait(self, join: Join) -> None:
        alice = join("alice")
        with thread(alice.close), pytest.raises(TransportClosed):
            alice.recv(None)

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

    def test_what_can_be_read_elsewhere_comes_out_like_mail(self, beside: Beside) -> None:
        beside.write(b"here")
        assert expect(beside.connection).frames == [b"here"]
        assert beside.connection.recv(0) is None

    def test_what_can_be_read_elsewhere_ends_a_wait(self, beside: Beside) -> None:
        with thread(lambda: beside.write(b"late")):
            assert expect(beside.connection, wait=None).frames == [b"late"]

    def test_a_wait_that_began_before_ends_by_what_is_watched_since(self, join: Join, beside: Beside) -> None:
        beside.connection.unwatch(beside.descriptor)
        beside.write(b"here")
        with thread(beside.watch):
            assert expect(beside.connection, wait=None).frames == [b"here"]

    def test_what_is_no_longer_watched_is_not_read(self, beside: Beside) -> None:
        beside.connection.unwatch(beside.descriptor)
        beside.connection.unwatch(beside.descriptor)
        beside.write(b"here")
        assert beside.connection.recv(0.01) is None
        assert beside.read() is not None

    def test_what_has_ended_is_watched_no_longer(self, beside: Beside) -> None:
        beside.end()
        assert beside.connection.recv(0.01) is None
        assert beside.reads == 1

    def test_what_can_always_be_read_elsewhere_keeps_no_mail_waiting(self, join: Join, beside: Beside) -> None:
        bob, alice = join("bob"), beside.connection
        beside.is_endless = True
        beside.write(b"read")
        bob.send("alice", [b"mail"])
        bob.send("alice", [b"bulk"], bulk=True)
        missing, end = {b"mail", b"bulk", b"read"}, time.monotonic() + PATIENCE
        while missing and time.monotonic() < end:
            missing.discard(bytes(expect(alice).frames[0]))
        assert not missing

    @pytest.fixture
    def beside(self, join: Join) -> Iterator[Beside]:
        made = Beside(join("alice"))
        if not made.watch():
            pytest.skip("this transport can wait for its medium alone")
        yield made
        made.close()


class Beside:
    """A pipe beside a connection's mail; what is written there is a byte for its length, and so many more."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reads = 0
        self.is_endless = False
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)

    def watch(self) -> bool:
        return self.connection.watch(self.descriptor, self.read)

    def write(self, content: bytes) -> None:
        os.write(self._write, bytes([len(content)]) + content)

    def read(self) -> Delivery | None:
        self.reads += 1
        if self.is_endless:
            return Delivery("pipe", None, [b"read"])
        try:
            length = os.read(self.descriptor, 1)
        except BlockingIOError:
            return None
        if not length:
            raise EOFError
        return Delivery("pipe", None, [os.read(self.descriptor, length[0])])

    def end(self) -> None:
        os.close(self._write)
        self._write = -1

    def close(self) -> None:
        self.connection.unwatch(self.descriptor)
        os.close(self.descriptor)
        if self._write >= 0:
            os.close(self._write)
