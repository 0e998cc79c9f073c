"""Who holds which name, with the time passed in."""

from __future__ import annotations

import pytest

from fedzmq.broker.directory import MOST_TOPICS, Directory
from fedzmq.errors import LimitExceeded
from fedzmq.transports.route import Channel

ONE, OTHER = b"1" * 16, b"2" * 16


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    directory.bind("alice", ONE, Channel.CONTROL, b"a0", now=0.0)
    directory.bind("alice", ONE, Channel.BULK, b"a1", now=1.0)
    return directory


def test_both_sockets_speak_for_the_member(directory: Directory) -> None:
    seats = [directory.seat(place) for place in (b"a0", b"a1")]
    assert [(seat.member.name, seat.channel) for seat in seats if seat] == [
        ("alice", Channel.CONTROL),
        ("alice", Channel.BULK),
    ]


def test_a_member_is_found_by_the_route_of_its_mail(directory: Directory) -> None:
    assert directory.addressee(b"Malice") is directory.holder("alice")


def test_a_member_outlives_one_of_its_sockets(directory: Directory) -> None:
    assert directory.unbind(b"a0") is None
    assert directory.holder("alice") is not None


def test_a_member_goes_with_its_last_socket(directory: Directory) -> None:
    directory.unbind(b"a0")
    gone = directory.unbind(b"a1")
    assert gone is not None
    assert gone.name == "alice"
    assert len(directory) == 0
    assert directory.addressee(b"Malice") is None


def test_an_unknown_socket_is_nothing_to_forget(directory: Directory) -> None:
    assert directory.unbind(b"zz") is None
    assert len(directory) == 1


def test_the_same_instance_moves_to_another_socket(directory: Directory) -> None:
    directory.bind("alice", ONE, Channel.CONTROL, b"a9", now=2.0)
    member = directory.holder("alice")
    assert member is not None
    assert member.places == {Channel.CONTROL: b"a9", Channel.BULK: b"a1"}
    assert directory.seat(b"a0") is None


def test_another_instance_cannot_bind_a_name_that_is_held(directory: Directory) -> None:
    with pytest.raises(ValueError, match="another instance"):
        directory.bind("alice", OTHER, Channel.CONTROL, b"b0", now=2.0)


def test_a_socket_speaks_for_one_name_at_a_time(directory: Directory) -> None:
    directory.bind("bob", OTHER, Channel.CONTROL, b"a0", now=2.0)
    seat = directory.seat(b"a0")
    assert seat is not None
    assert seat.member.name == "bob"
    alice = directory.holder("alice")
    assert alice is not None
    assert alice.places == {Channel.BULK: b"a1"}


def test_a_socket_that_changes_its_only_name_frees_the_first(directory: Directory) -> None:
    directory.unbind(b"a1")
    directory.bind("bob", ONE, Channel.CONTROL, b"a0", now=2.0)
    assert directory.holder("alice") is None


def test_silence_is_counted_from_when_a_member_was_last_heard(directory: Directory) -> None:
    member = directory.holder("alice")
    assert member is not None
    assert not member.is_silent(now=11.0, silence=10.0)
    assert member.is_silent(now=11.5, silence=10.0)


def test_subscribers_are_listed_once_in_order(directory: Directory) -> None:
    alice = directory.holder("alice")
    bob = directory.bind("bob", OTHER, Channel.CONTROL, b"b0", now=0.0)
    assert alice is not None
    for member in (bob, alice, bob):
        directory.subscribe(member, "news")
    assert directory.subscribers("news") == [bob, alice]


def test_a_removed_member_hears_nothing_more(directory: Directory) -> None:
    alice = directory.holder("alice")
    assert alice is not None
    directory.subscribe(alice, "news")
    directory.remove(alice)
    assert directory.subscribers("news") == []
    assert directory.seat(b"a0") is None


def test_removing_twice_leaves_a_newcomer_of_the_same_name(directory: Directory) -> None:
    alice = directory.holder("alice")
    assert alice is not None
    directory.remove(alice)
    newcomer = directory.bind("alice", OTHER, Channel.CONTROL, b"n0", now=0.0)
    directory.remove(alice)
    assert directory.holder("alice") is newcomer


def test_who_unsubscribes_is_listed_no_more(directory: Directory) -> None:
    bob, alice = directory.bind("bob", OTHER, Channel.CONTROL, b"b0", now=0.0), directory.holder("alice")
    assert alice is not None
    for member in (bob, alice):
        directory.subscribe(member, "news")
    directory.unsubscribe(bob, "news")
    directory.unsubscribe(bob, "news")
    assert directory.subscribers("news") == [alice]


def test_what_was_unsubscribed_makes_room_for_other_topics(directory: Directory) -> None:
    alice = directory.holder("alice")
    assert alice is not None
    for number in range(3 * MOST_TOPICS):
        directory.subscribe(alice, f"topic-{number}")
        directory.unsubscribe(alice, f"topic-{number}")
    assert directory.subscribers("topic-0") == []


def test_a_member_cannot_subscribe_without_end(directory: Directory) -> None:
    alice = directory.holder("alice")
    assert alice is not None
    for number in range(MOST_TOPICS):
        directory.subscribe(alice, f"topic-{number}")
    with pytest.raises(LimitExceeded):
        directory.subscribe(alice, "one more")
    directory.subscribe(alice, "topic-0")
