"""What a transport promises while its medium is away, and when it comes back."""

from __future__ import annotations

import math
import time

import pytest

from fedzmq.testing.conformance.medium import Join, Medium, Outage
from fedzmq.testing.conformance.parties import expect, listen, settle
from fedzmq.transports.connection import Delivery
from fedzmq.transports.registry import connect


class Outages(Medium):
    """Signs of life, and their absence."""

    @pytest.fixture
    def away(self, outage: Outage | None) -> Outage:
        if outage is None:
            pytest.skip("this medium is never away")
        return outage

    def test_a_sign_of_life_is_recent_after_mail(self, join: Join) -> None:
        alice = join("alice")
        before = time.monotonic()
        alice.send("alice", [b"note"])
        expect(alice)
        assert 0.0 <= alice.silent_for() <= time.monotonic() - before

    def test_connecting_needs_no_medium(self, address: str, away: Outage) -> None:
        with away():
            alice = connect(address, "alice")
            assert alice.recv(0) is None
            alice.send("alice", [b"lost"])
        with alice:
            settle(alice)

    def test_a_medium_that_was_never_there_has_been_silent_for_ever(self, address: str, away: Outage) -> None:
        with away(), connect(address, "alice") as alice:
            assert alice.recv(0.1) is None
            assert alice.silent_for() == math.inf

    def test_a_medium_that_comes_back_is_found_again(self, join: Join, away: Outage) -> None:
        alice, bob = join("alice"), join("bob")
        with away():
            pass
        settle(bob)
        settle(alice)
        alice.send("bob", [b"again"])
        assert expect(bob) == Delivery("alice", None, [b"again"])

    def test_subscriptions_outlive_an_outage(self, join: Join, away: Outage) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        with away():
            pass
        settle(bob)
        settle(alice)
        alice.publish("news", [b"again"])
        assert expect(bob) == Delivery("alice", "news", [b"again"])

    def test_an_outage_brings_no_subscription_back(self, join: Join, away: Outage) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        bob.unsubscribe("news")
        with away():
            pass
        settle(bob)
        settle(alice)
        alice.publish("news", [b"again"])
        alice.send("bob", [b"end"])
        assert expect(bob).frames == [b"end"]

    def test_what_is_sent_during_an_outage_is_dropped(self, join: Join, away: Outage) -> None:
        alice, bob = join("alice"), join("bob")
        with away():
            silence = alice.silent_for()
            while alice.silent_for() < silence + 0.1:
                alice.recv(0.05)
            alice.send("bob", [b"lost"])
            alice.publish("news", [b"lost"])
        settle(bob)
        settle(alice)
        alice.send("bob", [b"found"])
        assert expect(bob).frames == [b"found"]
