"""The medium that does wrong on purpose does it as told, and the same way twice."""

from __future__ import annotations

import pytest

from fedzmq.errors import NameTaken, TransportClosed
from fedzmq.testing.faulty import FaultyConnection, FaultyMedium, ManualClock, run
from fedzmq.transports.connection import Delivery


def numbers(connection: FaultyConnection) -> list[int]:
    """What has arrived, of messages that hold a number."""
    got = []
    while (delivery := connection.recv(0)) is not None:
        got.append(int(bytes(delivery.frames[0])))
    return got


def converse(medium: FaultyMedium, count: int = 200) -> list[int]:
    """What bob gets of the numbers that alice sends, once everything has arrived."""
    alice, bob = medium.connect("alice"), medium.connect("bob")
    for number in range(count):
        alice.send("bob", [b"%d" % number])
        medium.clock.advance(0.01)
    medium.clock.advance(100.0)
    return numbers(bob)


def test_time_stands_still_until_it_is_told() -> None:
    clock = ManualClock(5.0)
    assert clock() == 5.0
    assert clock.advance(1.5) == clock() == 6.5
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1.0)


def test_without_faults_everything_arrives_at_once_and_in_order() -> None:
    medium = FaultyMedium()
    alice, bob = medium.connect("alice"), medium.connect("bob")
    for number in range(10):
        alice.send("bob", [b"%d" % number])
    assert numbers(bob) == list(range(10))


def test_a_receiver_never_waits() -> None:
    assert FaultyMedium().connect("alice").recv(None) is None


def test_the_same_seed_does_the_same() -> None:
    odds = {"drop": 0.2, "duplicate": 0.2, "reorder": 0.2, "delay": (0.0, 0.1)}
    first, second, other = (converse(FaultyMedium(seed, **odds)) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert first == second != other


def test_drop_loses_some() -> None:
    medium = FaultyMedium(drop=0.3)
    got = converse(medium)
    assert got == sorted(set(got))
    assert 0 < medium.lost == 200 - len(got) < 200


def test_duplicate_doubles_some() -> None:
    got = converse(FaultyMedium(duplicate=0.3))
    assert set(got) == set(range(200))
    assert 200 < len(got) < 400


def test_reorder_disorders_some() -> None:
    got = converse(FaultyMedium(reorder=0.3))
    assert sorted(got) == list(range(200))
    assert got != sorted(got)


def test_delay_alone_keeps_the_order() -> None:
    assert converse(FaultyMedium(delay=(0.0, 1.0))) == list(range(200))


def test_a_delayed_message_arrives_when_it_is_due() -> None:
    medium = FaultyMedium(delay=(1.0, 1.0))
    alice, bob = medium.connect("alice"), medium.connect("bob")
    alice.send("bob", [b"1"])
    assert bob.recv(0) is None
    assert medium.next_arrival() == 1.0
    medium.clock.advance(1.0)
    assert numbers(bob) == [1]
    assert medium.next_arrival() is None


def test_chosen_messages_are_lost() -> None:
    assert converse(FaultyMedium(lose={3, 5}), count=8) == [0, 1, 2, 4, 6, 7]


def test_a_cut_loses_what_is_on_its_way_and_what_follows() -> None:
    medium = FaultyMedium(delay=(1.0, 1.0))
    alice, bob = medium.connect("alice"), medium.connect("bob")
    alice.send("bob", [b"1"])
    medium.cut("bob")
    alice.send("bob", [b"2"])
    bob.send("alice", [b"3"])
    medium.mend("bob")
    alice.send("bob", [b"4"])
    medium.clock.advance(2.0)
    assert (numbers(alice), numbers(bob)) == ([], [4])


def test_the_medium_is_silent_while_the_link_is_cut() -> None:
    medium = FaultyMedium()
    alice, bob = medium.connect("alice"), medium.connect("bob")
    medium.cut("alice")
    medium.clock.advance(3.0)
    assert (alice.silent_for(), bob.silent_for()) == (3.0, 0.0)
    medium.mend()
    assert alice.silent_for() == 0.0


def test_a_crash_loses_what_is_on_its_way_and_nothing_else() -> None:
    medium = FaultyMedium(delay=(1.0, 1.0))
    alice, bob = medium.connect("alice"), medium.connect("bob")
    alice.send("bob", [b"1"])
    bob.send("alice", [b"2"])
    assert medium.in_flight == 2
    medium.crash()
    assert medium.in_flight == 0
    alice.send("bob", [b"3"])
    medium.clock.advance(1.0)
    assert (numbers(alice), numbers(bob)) == ([], [3])


def test_a_killed_party_leaves_its_name_to_the_next() -> None:
    medium = FaultyMedium(delay=(1.0, 1.0))
    alice, bob = medium.connect("alice"), medium.connect("bob")
    alice.send("bob", [b"1"])
    medium.kill("bob")
    with pytest.raises(TransportClosed):
        bob.recv(0)
    again = medium.connect("bob")
    medium.clock.advance(1.0)
    assert again.recv(0) is None
    alice.send("bob", [b"2"])
    medium.clock.advance(1.0)
    assert numbers(again) == [2]


def test_a_living_holder_keeps_its_name() -> None:
    medium = FaultyMedium()
    medium.connect("bob")
    with pytest.raises(NameTaken):
        medium.connect("bob").recv(0)


def test_a_topic_reaches_the_other_subscribers() -> None:
    medium = FaultyMedium()
    alice, bob, carol = (medium.connect(name) for name in ("alice", "bob", "carol"))
    for party in (alice, bob, bob):
        party.subscribe("news")
    alice.publish("news", [b"1"])
    assert bob.recv(0) == Delivery("alice", "news", [b"1"])
    assert alice.recv(0) is bob.recv(0) is carol.recv(0) is None


def test_frames_are_copied_even_when_donated() -> None:
    medium = FaultyMedium()
    alice = medium.connect("alice")
    memory = bytearray(b"1")
    alice.send("alice", [memory], donate=True)
    memory[:] = b"2"
    assert numbers(alice) == [1]


def test_run_steps_until_the_test_has_seen_enough() -> None:
    medium = FaultyMedium(delay=(0.5, 0.5))
    alice, bob = medium.connect("alice"), medium.connect("bob")
    got: list[int] = []
    alice.send("bob", [b"1"])
    run(medium, [lambda: got.extend(numbers(bob))], lambda: bool(got), limit=1.0)
    assert got == [1]


def test_run_gives_up_after_its_limit() -> None:
    with pytest.raises(AssertionError, match="within 1 s"):
        run(FaultyMedium(), [], lambda: False, limit=1.0)
