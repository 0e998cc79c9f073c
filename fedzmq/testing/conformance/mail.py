"""What a transport promises of mail: to whom it comes, whole, in order and once."""

from __future__ import annotations

import pytest

from fedzmq.testing.conformance.medium import LARGE, Join, Medium
from fedzmq.testing.conformance.parties import expect, until
from fedzmq.transports.connection import Buffer, Delivery


class Mail(Medium):
    """Mail from one party to another."""

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
