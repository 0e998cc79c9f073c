"""Parties on a faulty medium, in one thread and on a clock of the test's own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from fedzmq.errors import WorkerLost
from fedzmq.session import endpoint
from fedzmq.session.endpoint import Endpoint
from fedzmq.session.heartbeat import WORKERS, Heartbeat
from fedzmq.session.packet import Kind, Lane, Packet, parse
from fedzmq.session.roster import Roster
from fedzmq.session.session import MOST_MESSAGE_BYTES, WINDOW_BYTES, Peer
from fedzmq.testing.faulty import FaultyMedium, run
from fedzmq.transports.connection import Buffer, Connection
from tests.session.history import History


class World:
    """One worker that echoes, and clients that count, on a medium with faults."""

    def __init__(self, seed: int = 0, clients: int = 1, silence: float = 10.0, **faults: object) -> None:
        self.medium = FaultyMedium(seed, **faults)  # type: ignore[arg-type]
        self.history = History()
        self.silence = silence
        self.worker = self.party("bob", is_worker=True)
        self.clients = {f"client{number}": self.party(f"client{number}") for number in range(clients)}
        self.lost: list[tuple[str, str]] = []
        self.peers: dict[str, Peer] = {}
        for name, client in self.clients.items():
            client.departed = lambda peer, reason, name=name: self.lost.append((name, reason))  # type: ignore[misc]
        self.dead: set[str] = set()

    def party(self, name: str, *, is_worker: bool = False, most_bytes: int = MOST_MESSAGE_BYTES) -> Endpoint:
        return Endpoint(
            self.medium.connect(name),
            is_worker=is_worker,
            roster=Roster(self.silence),
            clock=self.medium.clock,
            window=1 << 20,
            most_bytes=most_bytes,
        )

    def open(self) -> None:
        for name, client in self.clients.items():
            self.peers[name] = client.open("bob", self.worker.boot)

    def ask(self, client: str, command: bytes, size: int = 0) -> None:
        self.history.note(self.history.invoked, client, command)
        self.clients[client].post(self.peers[client], [command, bytes(size)])

    def step(self) -> None:
        if "bob" not in self.dead:
            self.worker.pump(0.0)
            while (arrival := self.worker.take()) is not None:
                command = bytes(arrival.frames[0])
                self.history.note(self.history.effects, arrival.peer.name, command)
                self.worker.post(arrival.peer, [command])
        for name, client in self.clients.items():
            client.pump(0.0)
            while (arrival := client.take()) is not None:
                self.history.note(self.history.answered, name, bytes(arrival.frames[0]))

    def run(self, until: Callable[[], bool], limit: float = 300.0) -> None:
        run(self.medium, [self.step, self.history.check], until, limit=limit)


FAULTS = {
    "a good medium": {},
    "loss": {"drop": 0.2},
    "doubles": {"duplicate": 0.5},
    "disorder": {"reorder": 0.5, "disorder": 3.0},
    "delay": {"delay": (0.5, 2.0)},
    "everything": {"drop": 0.15, "duplicate": 0.2, "reorder": 0.3, "delay": (0.0, 0.5)},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_every_command_takes_effect_once_and_in_order(faults: dict[str, object], seed: int) -> None:
    world = World(seed, clients=2, silence=60.0, **faults)
    world.open()
    luck = random.Random(seed)
    for number in range(30):
        for client in world.clients:
            world.ask(client, b"%d" % number, size=luck.choice([0, 10, 100_000]))
    world.run(lambda: world.history.complete)


@pytest.mark.parametrize("seed", range(4))
def test_links_that_break_and_brokers_that_die_cost_a_pause_only(seed: int) -> None:
    world = World(seed, clients=2, silence=30.0, drop=0.05)
    world.open()
    luck = random.Random(seed)
    for number in range(40):
        for client in world.clients:
            world.ask(client, b"%d" % number)
        end = world.medium.clock() + 0.3
        nemesis = luck.choice(["nothing", "crash", "bob", "client0", "client1"])
        if nemesis == "crash":
            world.medium.crash()
        elif nemesis != "nothing":
            world.medium.cut(nemesis)
        world.run(lambda end=end: world.medium.clock() >= end)  # type: ignore[misc]
        world.medium.mend()
    world.run(lambda: world.history.complete)
    assert world.lost == []


def test_a_party_goes_by_the_roster_that_it_was_given() -> None:
    roster = Roster(3.0)  # empty, as it is at first
    party = Endpoint(FaultyMedium(0).connect("bob"), is_worker=True, roster=roster)
    assert party.presence.roster is roster


def test_an_offer_of_memory_that_comes_before_all_else_opens_the_session() -> None:
    medium = FaultyMedium(0)
    worker = Endpoint(medium.connect("bob"), is_worker=True, clock=medium.clock)
    client = medium.connect("client")
    offer = Packet(Kind.OFFER, Lane.COMMANDS, bytes(8), worker.boot, 1, 0, 0, 0, (), (bytes(40),))
    client.send("bob", offer.frames())
    run(medium, [lambda: worker.pump(0.0)], lambda: worker.has(Peer("client", bytes(8), 1)), limit=10.0)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")
def test_memory_is_shared_with_so_many_at_once_and_with_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_SHARING", 1)
    medium = FaultyMedium(0)
    party = Endpoint(medium.connect("client"), is_worker=False, clock=medium.clock, direct=True)
    others = {name: medium.connect(name) for name in ("bob", "alice")}
    for name in others:
        party.post(party.open(name, bytes(8)), [b"x"])
    medium.clock.advance(1.0)

    assert _kinds(others["bob"]) == {Kind.DATA, Kind.OFFER}
    assert _kinds(others["alice"]) == {Kind.DATA}
    party.close()


def test_each_single_message_of_a_good_conversation_may_be_lost() -> None:
    def converse(lose: tuple[int, ...]) -> FaultyMedium:
        world = World(lose=lose)
        world.open()
        for number in range(5):
            world.ask("client0", b"%d" % number)
        world.run(lambda: world.history.complete)
        return world.medium

    given = converse(()).given
    for number in range(given):
        converse((number,))


def test_a_worker_that_dies_is_lost_with_all_that_was_asked_of_it() -> None:
    world = World(silence=10.0)
    world.open()
    world.run(lambda: len(world.clients["client0"].presence.roster) == 1)
    world.dead.add("bob")
    world.medium.kill("bob")
    world.ask("client0", b"never")
    world.run(lambda: bool(world.lost), limit=12.0)
    with pytest.raises(WorkerLost, match="nothing was heard of it"):
        world.ask("client0", b"too late")


def test_a_client_that_dies_is_dropped_by_the_worker() -> None:
    world = World(silence=10.0)
    gone: list[str] = []
    world.worker.departed = lambda peer, reason: gone.append(peer.name)
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete and len(world.worker.presence.roster) == 1)
    world.medium.kill("client0")
    world.clients.clear()
    world.run(lambda: gone == ["client0"], limit=12.0)


def test_another_incarnation_of_a_worker_does_not_take_the_commands_of_the_first() -> None:
    world = World()
    world.open()
    world.ask("client0", b"for the first")
    world.medium.kill("bob")
    world.worker = world.party("bob", is_worker=True)
    world.run(lambda: bool(world.lost))
    assert "started anew" in world.lost[0][1]
    assert world.history.effects == {}


def test_a_worker_that_forgot_a_client_says_so() -> None:
    world = World(silence=60.0)
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete)
    for peer in [Peer("client0", world.clients["client0"].boot, 1)]:
        world.worker.end(peer, "it was silent")
    world.ask("client0", b"2")
    world.run(lambda: bool(world.lost))
    assert "given this client up" in world.lost[0][1]


@pytest.mark.parametrize("seed", range(5))
def test_a_client_that_only_waits_is_told_why_it_was_given_up(seed: int) -> None:
    world = World(seed, silence=10.0, drop=0.3)
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete and world.clients["client0"].idle() and world.worker.idle())
    world.worker.give_up(Peer("client0", world.clients["client0"].boot, 1), "it took\ntoo much")
    world.run(lambda: bool(world.lost), limit=60.0)
    assert world.lost[0][1] == "it had given this client up: it took?too much"


def test_a_client_that_breaks_the_protocol_is_told_how() -> None:
    world = World()
    world.worker = world.party("alice", is_worker=True, most_bytes=1000)
    peer = world.clients["client0"].open("alice", world.worker.boot)
    world.clients["client0"].post(peer, [bytes(1001)])
    world.run(lambda: bool(world.lost))
    assert "broke the session protocol" in world.lost[0][1]


def test_whoever_ended_the_session_is_not_told_that_it_was_given_up() -> None:
    world = World()
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete)
    peer = Peer("client0", world.clients["client0"].boot, 1)
    world.worker.end(peer, "it left")
    given = world.medium.given
    world.worker.give_up(peer, "its commands met a fault")
    assert world.medium.given == given


@pytest.mark.parametrize("seed", range(5))
def test_a_client_that_slept_for_too_long_while_it_only_waited_is_told_that_it_was_given_up(seed: int) -> None:
    world = World(seed, silence=10.0, drop=0.3)
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete and world.clients["client0"].idle() and world.worker.idle())
    asleep = world.clients.copy()
    world.clients.clear()
    world.run(lambda: world.worker.presence.roster.get("client0") is None)
    world.clients.update(asleep)
    world.run(lambda: bool(world.lost), limit=60.0)
    assert "given this client up" in world.lost[0][1]

    world.open()
    world.ask("client0", b"2")
    world.run(lambda: world.history.complete)
    end = world.medium.clock() + 10
    world.run(lambda: world.medium.clock() >= end)
    assert len(world.lost) == 1


def test_a_new_session_of_the_same_two_starts_clean() -> None:
    world = World(silence=60.0)
    world.open()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete)
    world.open()
    world.ask("client0", b"2")
    world.run(lambda: world.history.complete)


def test_control_overtakes_commands_that_nobody_takes() -> None:
    world = World()
    world.open()
    urgent: list[bytes] = []
    world.worker.urgent = lambda arrival: urgent.append(bytes(arrival.frames[0]))
    client, peer = world.clients["client0"], world.peers["client0"]
    for _ in range(5):
        client.post(peer, [bytes(500_000)], donate=True)
    client.post(peer, [b"stop"], lane=Lane.CONTROL)

    def step() -> None:
        client.pump(0.0)
        world.worker.pump(0.0)

    run(world.medium, [step], lambda: urgent == [b"stop"], limit=10.0)


def test_nobody_is_lost_while_the_medium_is_away() -> None:
    world = World(silence=10.0)
    world.open()
    world.run(lambda: len(world.clients["client0"].presence.roster) == 1)
    world.medium.cut("client0")
    end = world.medium.clock() + 100
    world.run(lambda: world.medium.clock() >= end)
    assert world.clients["client0"].presence.away
    world.medium.mend()
    world.ask("client0", b"1")
    world.run(lambda: world.history.complete)
    assert world.lost == []


def test_a_worker_that_never_hears_all_that_is_here_is_heard_itself() -> None:
    world = World()
    world.open()
    watching = world.medium.connect("watching")
    watching.subscribe(WORKERS)
    for number in range(1000):
        world.clients["client0"].post(world.peers["client0"], [b"%d" % number])
    for _ in range(50):  # one command each
        world.medium.clock.advance(0.1)
        world.worker.pump(0.0)
    beats = 0
    while watching.recv(0.0) is not None:
        beats += 1
    assert beats >= 5


def test_bytes_that_are_no_packet_are_counted_and_dropped() -> None:
    world = World()
    stranger = world.medium.connect("stranger")
    stranger.send("bob", [b"\xc1", b"x"])
    stranger.send("bob", [])
    stranger.publish("clients", [b"\xc1"])
    world.run(lambda: world.worker.refused == 3, limit=1.0)


def _kinds(connection: Connection) -> set[Kind]:
    """Of the packets that came."""
    kinds = set()
    while (delivery := connection.recv(0.0)) is not None:
        if delivery.topic is None:
            kinds.add(parse(delivery.frames).kind)
    return kinds


def test_what_a_party_sent_before_it_left_is_heard_though_its_goodbye_was_sooner() -> None:
    medium = FaultyMedium(0)
    client = Endpoint(medium.connect("client"), is_worker=False, clock=medium.clock)
    bob = medium.connect("bob")
    peer = client.open("bob", bytes(8))
    client.presence.roster.beat("bob", bytes(8), "", medium.clock())
    told: list[str] = []
    client.departed = lambda peer, reason: told.append(peer.name)
    client.post(peer, [b"question"])
    bob.publish(WORKERS, Heartbeat(bytes(8), leaving=True).frames())
    for number in (1, 2):
        address = Kind.DATA, Lane.COMMANDS, bytes(8), client.boot, 1
        bob.send("client", Packet(*address, number, 1, WINDOW_BYTES, (1,), (b"%d" % number,)).frames())

    def pump() -> None:
        client.pump(0.0)
        if (arrival := client.take()) is not None:
            heard.extend(arrival.frames)

    heard: list[Buffer] = []
    run(medium, [pump], lambda: bool(told), limit=1.0)
    assert heard == [b"1", b"2"]
    client.close()
