"""`memory://`: the contract, and members that others run."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest

from fedzmq.errors import AddressError
from fedzmq.testing.conformance import TransportContract
from fedzmq.testing.conformance.parties import expect, thread
from fedzmq.transports.connection import PARTIES, Delivery
from fedzmq.transports.memory import MemoryConnection, connect
from fedzmq.transports.party import parse


class TestMemory(TransportContract):
    @pytest.fixture
    def address(self) -> str:
        return f"memory://{uuid.uuid4()}"


@pytest.fixture
def address() -> str:
    return f"memory://{uuid.uuid4()}"


@pytest.fixture
def alice(address: str) -> Iterator[MemoryConnection]:
    with connect(address, "alice") as connection:
        yield connection


@pytest.fixture
def echo(address: str) -> Iterator[MemoryConnection]:
    """A passive member that answers each message with the same."""
    with connect(address, "echo") as connection:
        answer_all(connection)
        yield connection


def answer_all(connection: MemoryConnection) -> None:
    def answer() -> None:
        while (delivery := connection.recv(0)) is not None:
            connection.send(delivery.sender, delivery.frames)

    connection.serve(answer)


def test_hubs_of_different_addresses_do_not_meet(alice: MemoryConnection) -> None:
    with connect(f"memory://{uuid.uuid4()}", "bob") as bob:
        alice.send("bob", [b"lost"])
        assert bob.recv(0) is None


def test_an_address_without_a_hub_is_refused() -> None:
    with pytest.raises(AddressError, match="memory://hub"):
        connect("memory://", "alice")


def test_memory_that_cannot_change_travels_without_a_copy(alice: MemoryConnection) -> None:
    data = memoryview(b"constant")
    alice.send("alice", [data], donate=True)
    frame = expect(alice).frames[0]
    assert isinstance(frame, memoryview)
    assert frame.obj is data.obj


def test_memory_that_can_change_is_copied_even_when_donated(alice: MemoryConnection) -> None:
    alice.send("alice", [memoryview(bytearray(b"mutable"))], donate=True)
    assert type(expect(alice).frames[0]) is bytes


def test_a_passive_member_answers_whoever_waits(alice: MemoryConnection, echo: MemoryConnection) -> None:
    alice.send("echo", [b"hello"])
    assert alice.recv(None) == Delivery("echo", None, [b"hello"])


def test_a_passive_member_answers_a_look_into_the_mailbox(alice: MemoryConnection, echo: MemoryConnection) -> None:
    alice.send("echo", [b"hello"])
    assert alice.recv(0) == Delivery("echo", None, [b"hello"])


def test_a_passive_member_is_not_run_while_the_caller_has_mail(alice: MemoryConnection, echo: MemoryConnection) -> None:
    alice.send("echo", [b"later"])
    alice.send("alice", [b"first"])
    assert expect(alice).frames == [b"first"]
    assert len(echo.mailbox) == 1


def test_mail_that_came_before_serve_is_served(address: str, alice: MemoryConnection) -> None:
    with connect(address, "echo") as echo:
        alice.send("echo", [b"early"])
        answer_all(echo)
        assert expect(alice).frames == [b"early"]


def test_mail_from_another_thread_is_served_by_one_that_waits_already(
    address: str, alice: MemoryConnection, echo: MemoryConnection
) -> None:
    with connect(address, "bob") as bob, thread(lambda: bob.send("echo", [b"hello"])):
        while not bob.mailbox:
            alice.recv(0.01)


def test_passive_members_that_write_to_each_other_do_not_nest(address: str, alice: MemoryConnection) -> None:
    depth, deepest = 0, 0

    def relay(connection: MemoryConnection, to: str) -> None:
        def callback() -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(deepest, depth)
            delivery = connection.recv(0)
            assert delivery is not None
            connection.send(to, delivery.frames)
            connection.recv(0)  # finds nothing, and may not run the other meanwhile
            depth -= 1

        connection.serve(callback)

    with connect(address, "one") as one, connect(address, "two") as two:
        relay(one, "two")
        relay(two, "alice")
        alice.send("one", [b"through both"])
        assert expect(alice) == Delivery("two", None, [b"through both"])
    assert deepest == 1


def test_passive_members_that_never_stop_do_not_hold_a_look_into_the_mailbox(
    address: str, alice: MemoryConnection
) -> None:
    with connect(address, "one") as one, connect(address, "two") as two:
        answer_all(one)
        answer_all(two)
        alice.send("one", [b"warm up"])
        expect(alice)
        one.send("two", [b"for ever"])
        assert alice.recv(0) is None


def test_a_passive_member_runs_in_one_thread_at_a_time(address: str, alice: MemoryConnection) -> None:
    inside = threading.Lock()
    overlaps: list[str] = []

    with connect(address, "busy") as busy, connect(address, "bob") as bob:

        def callback() -> None:
            if not inside.acquire(blocking=False):
                overlaps.append("entered twice")
                return
            while (delivery := busy.recv(0)) is not None:
                busy.send(delivery.sender, delivery.frames)
            inside.release()

        busy.serve(callback)

        def ask(connection: MemoryConnection) -> None:
            for number in range(200):
                connection.send("busy", [b"%d" % number])
                assert expect(connection).frames == [b"%d" % number]

        with thread(lambda: ask(bob)):
            ask(alice)
    assert overlaps == []


def test_what_a_passive_member_raises_comes_out_where_it_ran(address: str, alice: MemoryConnection) -> None:
    with connect(address, "broken") as broken:

        def callback() -> None:
            broken.recv(0)
            raise ValueError("a bug")

        broken.serve(callback)
        alice.send("broken", [])
        with pytest.raises(ValueError, match="a bug"):
            alice.recv(0)
        assert alice.recv(0) is None


def test_a_member_that_closes_is_announced(address: str, alice: MemoryConnection) -> None:
    alice.subscribe("departures")
    connect(address, "bob").close()
    departure = expect(alice)
    assert (departure.sender, departure.topic) == ("broker", "departures")
    assert [bytes(frame) for frame in departure.frames[::2]] == [b"bob", b"left"]


def test_who_asks_who_is_here_is_told_and_told_again_when_it_changes(address: str, alice: MemoryConnection) -> None:
    alice.subscribe(PARTIES)
    first = expect(alice)
    with connect(address, "bob") as bob:
        bob.subscribe("news")
        told = [{each.name: each.hears for each in map(parse, delivery.frames)} for delivery in (first, expect(alice))]

    assert told == [{"alice": {PARTIES}}, {"alice": {PARTIES}, "bob": {"news"}}]
    assert [parse(frame).name for frame in expect(alice).frames] == ["alice"]


def test_a_refused_newcomer_gets_the_name_when_its_holder_closes(address: str, alice: MemoryConnection) -> None:
    bob = connect(address, "bob")
    with connect(address, "bob") as second:
        bob.close()
        assert second.recv(0) is None
        alice.send("bob", [b"hello"])
        assert expect(second).frames == [b"hello"]
