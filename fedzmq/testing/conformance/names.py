"""What a transport promises of names: one living holder each, and none that belongs to the medium."""

from __future__ import annotations

import pytest

from fedzmq.errors import NameTaken, UsageError
from fedzmq.testing.conformance.medium import Join, Medium
from fedzmq.testing.conformance.parties import expect
from fedzmq.transports.connection import Delivery
from fedzmq.transports.registry import connect


class Names(Medium):
    """Who may be called what."""

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
        alice = join("alice")
        for topic in ("departures", "parties"):
            with pytest.raises(UsageError):
                alice.publish(topic, [b"bob"])
