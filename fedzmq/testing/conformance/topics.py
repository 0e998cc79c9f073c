"""What a transport promises of topics: whom they reach, whom they do not, and from when on."""

from __future__ import annotations

from fedzmq.testing.conformance.medium import LARGE, Join, Medium
from fedzmq.testing.conformance.parties import expect, listen, settle, until
from fedzmq.transports.connection import Delivery


class Topics(Medium):
    """What is published to whoever subscribed."""

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
