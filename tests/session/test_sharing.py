"""Two sessions of one machine agree to share memory, and do without where they cannot."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.session.packet import Kind, Lane, Packet, parse
from fedzmq.session.session import Peer, Session
from fedzmq.session.shared_memory import MemoryReader, MemoryWriter, Offer, Region
from fedzmq.session.sharing import MOST_OFFERS, Sharing
from tests.session.test_session import BOOTS, Pair

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")

LARGE = 300_000

Share = Callable[[], Sharing]


@pytest.fixture
def share() -> Iterator[Share]:
    """What a session of one process is given, as if the other were in another one."""
    made: list[Sharing] = []

    def sharing() -> Sharing:
        made.append(Sharing(attach=MemoryReader))
        return made[-1]

    yield sharing
    for each in made:
        each.close()


def agreed(share: Share, **how: float) -> Pair:
    """A pair that shares memory in both directions."""
    pair = Pair(sharing=share, **how)  # type: ignore[arg-type]
    for side in (0, 1):
        pair.send(side, [b"hello"])
    while not all(session.shares for session in pair.sessions):
        pair.send(0, [b"?"])
        pair.send(1, [b"?"])
        pair.pass_on()
        for session in pair.sessions:
            while session.take() is not None:
                pass
        pair.now += 1.0
    return pair


def test_what_is_large_does_not_travel_through_the_medium(share: Share) -> None:
    pair = agreed(share)
    before = pair.carried
    pair.send(0, [b"head", bytes(LARGE), b"tail"])
    assert pair.run(1, 1) == [[b"head", bytes(LARGE), b"tail"]]
    assert pair.carried - before < 1000


def test_what_is_small_does(share: Share) -> None:
    pair = agreed(share)
    before = pair.carried
    pair.send(0, [bytes(10_000)])
    assert pair.run(1, 1) == [[bytes(10_000)]]
    assert pair.carried - before > 10_000


@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=30, deadline=None)
def test_every_message_arrives_once_and_in_order_however_the_packets_fare(seed: int, loss: float) -> None:
    made: list[Sharing] = []

    def sharing() -> Sharing:
        made.append(Sharing(lambda: MemoryWriter(3 * LARGE), MemoryReader))
        return made[-1]

    chance = random.Random(seed)
    messages = [
        [chance.randbytes(chance.choice([0, 3, 1000, LARGE, 2 * LARGE])) for _ in range(chance.randint(1, 4))]
        for _ in range(8)
    ]
    pair = Pair(window=chance.choice([200_000, 1 << 20]), seed=seed, loss=loss, sharing=sharing)
    try:
        for message in messages:
            pair.send(0, message)
        assert pair.run(1, len(messages)) == messages
    finally:
        for each in made:
            each.close()


def test_memory_may_change_once_the_message_left(share: Share) -> None:
    pair = agreed(share)
    own = bytearray(b"x" * LARGE)
    ticket = pair.sessions[0].submit([memoryview(own)], donate=False)
    packets = list(pair.sessions[0].flow(pair.now))
    assert ticket.left
    own[:] = b"y" * LARGE
    assert all(packet.region is not None for packet in packets if packet.kind is Kind.DATA)
    pair.now += 10.0
    assert pair.run(1, 1) == [[b"x" * LARGE]]


def test_who_cannot_reach_the_memory_gets_everything_by_the_medium() -> None:
    def far(offer: Offer) -> MemoryReader:
        raise OSError

    made = [Sharing(attach=far) for _ in range(2)]
    pair = Pair(sharing=iter(made).__next__)
    for _ in range(10):
        pair.send(0, [bytes(LARGE)])
        assert pair.run(1, 1) == [[bytes(LARGE)]]
        pair.now += 2.0
    assert not pair.sessions[0].shares
    assert made[0].is_settled
    assert made[0].writer is None


def test_a_party_that_is_never_heard_to_answer_is_offered_it_a_few_times_only(share: Share) -> None:
    offering = share()
    sender = Session(Peer("other", BOOTS[1], 1), Lane.COMMANDS, BOOTS[0], sharing=offering)
    receiver = Session(Peer("other", BOOTS[0], 1), Lane.COMMANDS, BOOTS[1])
    offers = 0
    for second in range(20):
        sender.submit([b"x"], donate=True)
        for packet in sender.flow(float(second)):
            offers += packet.kind is Kind.OFFER
            receiver.receive(packet, float(second))
        for packet in receiver.flow(float(second) + 0.1):
            if packet.kind is not Kind.ANSWER:  # each of these is lost
                sender.receive(packet, float(second))
    assert offers == MOST_OFFERS
    assert not sender.shares


def test_memory_that_nobody_answered_for_is_closed(share: Share) -> None:
    before = os.listdir("/proc/self/fd")
    sender = Session(Peer("other", BOOTS[1], 1), Lane.COMMANDS, BOOTS[0], sharing=share())
    for second in range(20):
        sender.submit([b"x"], donate=True)
        list(sender.flow(float(second)))
    assert os.listdir("/proc/self/fd") == before


def test_a_party_that_shares_none_says_so_at_once(share: Share) -> None:
    sharings = [share(), Sharing.none()]
    pair = Pair(sharing=iter(sharings).__next__)
    pair.send(0, [b"x"])
    for _ in range(3):
        pair.pass_on()
    assert sharings[0].is_settled
    assert not any(session.shares for session in pair.sessions)


def test_a_system_without_such_memory_offers_none() -> None:
    def none() -> MemoryWriter:
        raise OSError

    sender = Session(Peer("other", BOOTS[1], 1), Lane.COMMANDS, BOOTS[0], sharing=Sharing(none))
    sender.submit([b"x"], donate=True)
    assert [packet.kind for packet in sender.flow(0.0)] == [Kind.DATA]


def test_one_process_passes_memory_on_as_it_is() -> None:
    made = [Sharing(), Sharing()]
    pair = Pair(sharing=iter(made).__next__)
    pair.send(0, [bytes(LARGE)])
    pair.run(1, 1)
    pair.pass_on()
    assert made[1].reader is None
    assert made[0].is_settled
    assert made[0].writer is None


def test_a_system_that_has_no_more_memory_leaves_the_rest_to_the_medium(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = agreed(share)
    content = random.Random(1).randbytes(LARGE)
    write, left = os.pwritev, [1]

    def full(descriptor: int, buffers: list[bytes], offset: int) -> int:
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        return write(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", full)
    for _ in range(3):
        pair.send(0, [b"head", content])
    assert pair.run(1, 3) == [[b"head", content]] * 3


@pytest.mark.parametrize("content", [b"", b"short", bytes(40)], ids=["nothing", "short", "nobody's"])
def test_an_offer_of_nonsense_opens_nothing(share: Share, content: bytes) -> None:
    taking = share()
    receiver = Session(Peer("other", BOOTS[0], 1), Lane.COMMANDS, BOOTS[1], sharing=taking)
    with suppress(ProtocolError):
        receiver.receive(_packet(Kind.OFFER, content), 0.0)
    assert taking.reader is None


def test_an_answer_to_what_was_not_offered_is_dropped(share: Share) -> None:
    session = Session(Peer("other", BOOTS[0], 1), Lane.COMMANDS, BOOTS[1], sharing=share())
    session.receive(_packet(Kind.ANSWER, b"\1"), 0.0)
    assert not session.shares


def test_a_packet_in_memory_that_was_never_shared_is_refused() -> None:
    receiver = Pair().sessions[1]
    with pytest.raises(ProtocolError, match="never shared"):
        receiver.receive(_in_memory((LARGE,), Region(0, LARGE)), 0.0)


@pytest.mark.parametrize(
    ("sizes", "region"), [((10,), Region(0, 11)), ((1000,), Region(1 << 40, 999))], ids=["message", "memory"]
)
def test_a_packet_that_reaches_beyond_is_refused(share: Share, sizes: tuple[int, ...], region: Region) -> None:
    pair = agreed(share)
    while not pair.sessions[0].idle:
        pair.pass_on()
        pair.now += 0.1
    packet = _in_memory(sizes, region)._replace(number=_next_number(pair))
    with pytest.raises(ProtocolError, match=r"more than its message|beyond the memory"):
        pair.sessions[1].receive(packet, pair.now)


@pytest.mark.parametrize("sizes", [(), (3, LARGE)])
def test_a_packet_in_memory_survives_the_wire(sizes: tuple[int, ...]) -> None:
    packet = _in_memory(sizes, Region(5, LARGE))
    assert parse(packet.frames()) == packet
    assert packet.size == LARGE


def test_a_session_that_ends_keeps_nothing_open(share: Share) -> None:
    before = os.listdir("/proc/self/fd")
    pair = agreed(share)
    pair.send(0, [bytes(LARGE)])
    for session in pair.sessions:
        session.close()
        session.close()
    assert os.listdir("/proc/self/fd") == before


def _packet(kind: Kind, content: bytes) -> Packet:
    return Packet(kind, Lane.COMMANDS, BOOTS[0], BOOTS[1], 1, 0, 0, 0, (), (content,))


def _in_memory(sizes: tuple[int, ...], region: Region) -> Packet:
    return Packet(Kind.DATA, Lane.COMMANDS, BOOTS[0], BOOTS[1], 1, 1, 0, 0, sizes, (), region)


def _next_number(pair: Pair) -> int:
    """Of the packet that the second side waits for from the first."""
    pair.send(0, [b"next"])
    return next(packet.number for packet in pair.sessions[0].flow(pair.now) if packet.kind is Kind.DATA)
