"""Sessions between two parties that accept each other's."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator

import pytest

from fedzmq.session.endpoint import Endpoint
from fedzmq.session.roster import Roster
from fedzmq.transports.memory import MemoryConnection


@pytest.fixture
def pair() -> Iterator[tuple[Endpoint, Endpoint]]:
    address = f"memory://{uuid.uuid4().hex}"
    ends = [
        Endpoint(MemoryConnection(address, name), is_worker=True, roster=Roster(math.inf)) for name in ("bob", "alice")
    ]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


def heard(endpoint: Endpoint, count: int) -> list[bytes]:
    messages: list[bytes] = []
    for _ in range(50):
        endpoint.pump(0.0)
        while (arrival := endpoint.take()) is not None:
            messages.append(bytes(arrival.frames[0]))
        if len(messages) >= count:
            break
    return messages


def test_two_that_reach_each_other_at_once_have_one_session(pair: tuple[Endpoint, Endpoint]) -> None:
    bob, alice = pair
    to_alice, to_bob = bob.reach("alice", alice.boot), alice.reach("bob", bob.boot)
    bob.post(to_alice, [b"from bob"])
    alice.post(to_bob, [b"from alice"])
    assert heard(alice, 1) == [b"from bob"]
    assert heard(bob, 1) == [b"from alice"]
    bob.post(to_alice, [b"again"])
    assert heard(alice, 1) == [b"again"]


def test_a_session_that_the_other_side_opened_is_used(pair: tuple[Endpoint, Endpoint]) -> None:
    bob, alice = pair
    bob.post(bob.reach("alice", alice.boot), [b"one"])
    alice.pump(0.0)  # it is here, and nobody has taken it yet
    alice.post(alice.reach("bob", bob.boot), [b"two"])
    assert heard(bob, 1) == [b"two"]
    assert heard(alice, 1) == [b"one"]


def test_after_an_end_the_next_session_is_a_new_one(pair: tuple[Endpoint, Endpoint]) -> None:
    bob, alice = pair
    first = bob.reach("alice", alice.boot)
    bob.post(first, [b"one"])
    assert heard(alice, 1) == [b"one"]
    bob.end(first, "it was tried")
    second = bob.reach("alice", alice.boot)
    assert second.epoch > first.epoch
    bob.post(second, [b"two"])
    assert heard(alice, 1) == [b"two"]
