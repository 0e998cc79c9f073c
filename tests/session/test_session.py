"""Exactly once and in order, whatever happens to the packets between two halves of a session."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.session.outbound import CHUNK_BYTES, MOST_CHUNK_BYTES
from fedzmq.session.packet import ADDRESS_BYTES, INLINE_BYTES, Kind, Lane, Packet, parse
from fedzmq.session.session import Peer, Session
from fedzmq.session.sharing import Sharing
from fedzmq.transports.connection import Buffer

BOOTS = (b"a" * 8, b"b" * 8)


class Pair:
    """Two sessions, and a medium between them that follows a script of faults. Time passes only by `advance`."""

    def __init__(
        self,
        window: int = 1 << 20,
        most_bytes: int = 1 << 30,
        seed: int = 0,
        loss: float = 0.0,
        sharing: Callable[[], Sharing | None] = lambda: None,
    ) -> None:
        self.now = 0.0
        self.sessions = [
            Session(
                Peer("other", BOOTS[1 - side], 1),
                Lane.COMMANDS,
                BOOTS[side],
                window=window,
                most_bytes=most_bytes,
                sharing=sharing(),
            )
            for side in (0, 1)
        ]
        self.flying: list[tuple[int, list[Buffer]]] = []
        self.carried = 0
        self._random = random.Random(seed)
        self._loss = loss

    def send(self, side: int, frames: Sequence[Buffer]) -> None:
        packet = self.sessions[side].pack(frames, self.now, donate=False) if self._random.random() < 0.5 else None
        if packet is None:
            self.sessions[side].submit(frames, donate=False)
        else:
            self.flying.append((1 - side, [packet]))

    def pass_on(self) -> None:
        """Both sides send what they may, and a part of it arrives, in any order, some of it twice."""
        for side, session in enumerate(self.sessions):
            for packet in session.flow(self.now):
                self.flying.append((1 - side, packet.frames()))
        if self._loss:
            self._random.shuffle(self.flying)
        flying, self.flying = self.flying, []
        for side, frames in flying:
            luck = self._random.random()
            if luck < self._loss:
                continue
            self.carried += sum(len(frame) for frame in frames)
            for _ in range(2 if luck > 1 - self._loss else 1):
                self.receive(side, frames)

    def receive(self, side: int, frames: Sequence[Buffer]) -> None:
        """By the short way, half of what may take it."""
        session, frame = self.sessions[side], bytes(frames[0])
        is_short = len(frames) == 1 and frame[:ADDRESS_BYTES] == session.inlet and self._random.random() < 0.5
        if not (is_short and session.unpack(frame, self.now)):
            session.receive(parse(frames), self.now)

    def run(self, side: int, count: int) -> list[list[bytes]]:
        """What arrives at a side, until so many messages did."""
        arrived: list[list[bytes]] = []
        for _ in range(10_000):
            self.pass_on()
            while (frames := self.sessions[side].take()) is not None:
                arrived.append([bytes(frame) for frame in frames])
            if len(arrived) >= count and not self.flying:
                return arrived
            self.now += 0.1
        raise AssertionError(f"{len(arrived)} of {count} arrived")


messages = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), min_size=1, max_size=12)


@given(messages, st.integers(0, 2**16), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=60)
def test_every_message_arrives_once_and_in_order_however_the_packets_fare(
    sent: list[list[bytes]], seed: int, loss: float
) -> None:
    pair = Pair(seed=seed, loss=loss)
    for frames in sent:
        pair.send(0, frames)
    assert pair.run(1, len(sent)) == sent


@given(st.integers(0, 2**16))
@settings(max_examples=10)
def test_a_message_larger_than_the_window_arrives_whole(seed: int) -> None:
    pair = Pair(window=100_000, seed=seed, loss=0.2)
    large = random.Random(seed).randbytes(1_000_000)
    pair.send(0, [b"head", large, b"", b"tail"])
    assert pair.run(1, 1) == [[b"head", large, b"", b"tail"]]


def test_both_directions_are_independent() -> None:
    pair = Pair()
    pair.send(0, [b"there"])
    pair.send(1, [b"back"])
    assert pair.run(1, 1) == [[b"there"]]
    assert pair.run(0, 1) == [[b"back"]]


def test_a_receiver_that_takes_nothing_bounds_what_is_sent() -> None:
    pair = Pair(window=100_000)
    for _ in range(100):
        pair.send(0, [bytes(10_000)])
    for _ in range(50):
        pair.pass_on()
        pair.now += 0.1
    assert pair.carried < 120_000


def test_what_has_not_arrived_is_owed() -> None:
    pair = Pair(window=1 << 20)
    pair.sessions[0].submit([bytes(3 << 20)], donate=True)
    before = pair.sessions[0].owed
    list(pair.sessions[0].flow(pair.now))  # a part of it is on its way, and lost
    then = pair.sessions[0].owed
    pair.run(1, 1)
    pair.now += 1.0
    pair.pass_on()  # the last of it is acknowledged

    assert (before, pair.sessions[0].owed) == (3 << 20, 0)
    assert 0 <= then - before < 1024


def test_what_is_here_of_a_message_and_was_not_taken_is_held() -> None:
    pair = Pair(window=50_000)
    pair.sessions[0].submit([bytes(200_000)], donate=True)
    pair.pass_on()
    begun = pair.sessions[1].held
    pair.run(1, 1)

    assert (begun // 10_000, pair.sessions[1].held) == (20, 0)


def test_two_large_messages_pass_although_the_first_is_taken_late() -> None:
    pair = Pair(window=50_000)
    pair.send(0, [bytes(200_000)])
    pair.send(0, [bytes(300_000)])
    for _ in range(100):
        pair.pass_on()
        pair.now += 0.1
    first = pair.sessions[1].take()
    assert first is not None
    assert pair.sessions[1].take() is None
    assert [len(frames[0]) for frames in (first, *pair.run(1, 1))] == [200_000, 300_000]


def test_credit_that_nobody_heard_of_is_told_again() -> None:
    pair = Pair(window=50_000)
    pair.send(0, [bytes(40_000)])
    pair.send(0, [bytes(30_000)])
    for _ in range(3):
        pair.pass_on()
        pair.now += 0.1
    assert pair.sessions[1].take() is not None
    assert [packet.kind for packet in pair.sessions[1].flow(pair.now)] == [Kind.ACK]  # and that one is lost
    assert pair.run(1, 1) == [[bytes(30_000)]]
    for _ in range(3):
        pair.pass_on()
        pair.now += 0.1
    assert pair.sessions[0].due() == math.inf


def test_memory_that_was_lent_may_change_once_the_message_left() -> None:
    pair = Pair()
    lent = bytearray(b"x" * 1000)
    ticket = pair.sessions[0].submit([memoryview(lent)], donate=False)
    list(pair.sessions[0].flow(0.0))
    assert ticket.left
    lent[:] = b"y" * 1000
    pair.now = 10.0  # what is sent again must be what was sent
    assert pair.run(1, 1) == [[b"x" * 1000]]


def test_large_frames_travel_in_chunks() -> None:
    session = Pair(window=1 << 30).sessions[0]
    session.submit([bytes(3 * CHUNK_BYTES)], donate=False)
    assert [sum(map(len, packet.parts)) for packet in session.flow(0.0)] == [CHUNK_BYTES] * 3


def test_chunks_grow_on_a_link_that_is_fast_and_shrink_when_something_is_lost() -> None:
    pair = Pair(window=1 << 30)
    pair.sessions[0].submit([bytes(64 * CHUNK_BYTES)], donate=True)
    pair.run(1, 1)
    pair.pass_on()
    pair.sessions[0].submit([bytes(64 * CHUNK_BYTES)], donate=True)
    assert next(iter(pair.sessions[0].flow(pair.now))).size == MOST_CHUNK_BYTES
    pair.now += 100.0
    list(pair.sessions[0].flow(pair.now))
    pair.sessions[0].submit([bytes(64 * CHUNK_BYTES)], donate=True)
    assert max(packet.size for packet in pair.sessions[0].flow(pair.now)) == CHUNK_BYTES


def test_a_lent_message_is_copied_only_where_it_may_be_under_way_when_it_has_left() -> None:
    pair = Pair(window=200_000)
    lent = bytearray(b"x" * 1_000_000)
    ticket = pair.sessions[0].submit([memoryview(lent)], donate=False, lend=True)
    copied = 0
    while not ticket.left:
        for packet in pair.sessions[0].flow(pair.now):
            copied += sum(len(part) for part in packet.parts if type(part) is bytes)
            pair.sessions[1].receive(parse(packet.frames()), pair.now)
        for packet in pair.sessions[1].flow(pair.now):
            pair.sessions[0].receive(parse(packet.frames()), pair.now)
        pair.now += 0.1
    assert 0 < copied <= 400_000
    assert pair.run(1, 1) == [[b"x" * 1_000_000]]


@given(st.integers(0, 2**16))
@settings(max_examples=20)
def test_what_was_lent_may_change_once_it_left_however_the_packets_fare(seed: int) -> None:
    pair = Pair(window=50_000, seed=seed, loss=0.3)
    lent = bytearray(random.Random(seed).randbytes(300_000))
    sent = bytes(lent)
    ticket = pair.sessions[0].submit([b"head", memoryview(lent), b"tail"], donate=False, lend=True)
    while not ticket.left:
        pair.pass_on()
        pair.now += 0.1
    lent[:] = bytes(len(lent))
    assert pair.run(1, 1) == [[b"head", sent, b"tail"]]


@pytest.mark.parametrize("lend", [False, True])
def test_memory_that_is_taken_back_may_change_at_once(lend: bool) -> None:
    pair = Pair(window=50_000)
    memory = bytearray(b"x" * 300_000)
    ticket = pair.sessions[0].submit([b"head", memoryview(memory), b"tail"], donate=False, lend=lend)
    for _ in range(3):
        pair.pass_on()
        pair.now += 0.1
    pair.sessions[0].detach(ticket)
    assert ticket.left
    memory[:] = b"y" * 300_000
    assert pair.run(1, 1) == [[b"head", b"x" * 300_000, b"tail"]]


def test_frames_that_come_in_parts_are_joined_in_the_room_that_is_given() -> None:
    rooms: list[bytearray] = []

    def allocate(size: int) -> bytearray:
        rooms.append(bytearray(b"?" * size))
        return rooms[-1]

    receiver = Session(Peer("other", BOOTS[0], 1), Lane.COMMANDS, BOOTS[1], allocate=allocate)
    receiver.receive(_packet(1, (4, 1), [b"ab"]), 0.0)
    receiver.receive(_packet(2, (), [b"cd", b"e"]), 0.0)
    assert receiver.take() == [b"abcd", b"e"]
    assert rooms == [b"abcd"]


def test_a_room_that_cannot_be_had_is_a_limit() -> None:
    def allocate(size: int) -> bytearray:
        raise MemoryError

    receiver = Session(Peer("other", BOOTS[0], 1), Lane.COMMANDS, BOOTS[1], allocate=allocate)
    with pytest.raises(LimitExceeded, match="4"):
        receiver.receive(_packet(1, (4,), [b"ab"]), 0.0)


def test_an_acknowledged_message_is_not_sent_again() -> None:
    pair = Pair()
    pair.send(0, [b"once"])
    pair.run(1, 1)
    pair.now += 1
    pair.pass_on()
    pair.pass_on()
    assert pair.sessions[0].idle
    pair.now += 100
    assert list(pair.sessions[0].flow(pair.now)) == []


def test_a_lost_packet_is_sent_again_at_once_when_the_medium_is_back() -> None:
    session = Pair().sessions[0]
    session.submit([b"lost"], donate=False)
    assert len(list(session.flow(0.0))) == 1
    assert list(session.flow(0.01)) == []
    session.hurry(0.02)
    assert [packet.number for packet in session.flow(0.02)] == [1]


def test_a_message_beyond_the_limit_is_refused_before_it_is_held() -> None:
    receiver = Pair(most_bytes=1000).sessions[1]
    with pytest.raises(LimitExceeded, match="1001"):
        receiver.receive(_packet(1, (1001,), [b"x"]), 0.0)


def test_a_sender_that_takes_no_heed_of_its_credit_is_refused() -> None:
    receiver = Pair(window=1000).sessions[1]
    receiver.receive(_packet(1, (800,), [bytes(800)]), 0.0)
    with pytest.raises(LimitExceeded, match="the limit is 1000"):
        receiver.receive(_packet(2, (800,), [bytes(800)]), 0.0)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [((), [b"x"]), ((1,), [b"xy"]), ((1,), [b"x", b"y"]), ((2,), [b"", b"xy"])],
    ids=["continues nothing", "more than its frame", "more than its message", "an empty part"],
)
def test_a_packet_that_cannot_be_part_of_the_stream_is_refused(sizes: tuple[int, ...], parts: list[bytes]) -> None:
    receiver = Pair().sessions[1]
    with pytest.raises(ProtocolError):
        receiver.receive(_packet(1, sizes, parts), 0.0)


def test_a_message_does_not_begin_inside_another() -> None:
    receiver = Pair().sessions[1]
    receiver.receive(_packet(1, (2,), [b"x"]), 0.0)
    with pytest.raises(ProtocolError, match="inside another"):
        receiver.receive(_packet(2, (2,), [b"x"]), 0.0)


@given(st.lists(st.binary(max_size=60), max_size=3))
@settings(max_examples=200)
def test_any_frames_are_a_packet_or_a_protocol_error(frames: list[bytes]) -> None:
    try:
        parse(frames)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("sizes", "parts", "frames"),
    [
        ((3, 0), [b"abc", b""], 1),
        ((1,) * 20, [b"x"] * 20, 1),
        ((INLINE_BYTES + 1,), [bytes(INLINE_BYTES + 1)], 2),
        ((3, 5), [b"abc", b"de"], 3),
        ((), [b"abc"], 2),
        ((), [], 1),
    ],
    ids=["small", "many", "large", "begun", "continued", "empty"],
)
def test_a_packet_survives_the_wire(sizes: tuple[int, ...], parts: list[bytes], frames: int) -> None:
    packet = _packet(7, sizes, parts)
    assert len(packet.frames()) == frames
    assert parse(packet.frames()) == packet


@pytest.mark.parametrize("change", range(46))
def test_a_header_with_a_changed_byte_is_a_packet_or_a_protocol_error(change: int) -> None:
    header = bytearray(_packet(7, (3, 1), [b"abc", b"d"]).frames()[0])
    header[change] ^= 0xFF
    try:
        packet = parse([bytes(header)])
    except ProtocolError:
        return
    assert sum(packet.sizes) == sum(map(len, packet.parts))


def test_another_version_is_named() -> None:
    with pytest.raises(ProtocolError, match="version 154"):
        parse([b"\x9a" + bytes(60)])


def _packet(number: int, sizes: tuple[int, ...], parts: list[bytes]) -> Packet:
    return Packet(Kind.DATA, Lane.COMMANDS, BOOTS[0], BOOTS[1], 1, number, 0, 0, sizes, parts)
