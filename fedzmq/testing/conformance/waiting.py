"""What a transport promises to who waits for mail: what ends a wait, and that any thread may send meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fedzmq.errors import TransportClosed
from fedzmq.testing.conformance.medium import Join, Medium
from fedzmq.testing.conformance.parties import PATIENCE, expect, thread


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
