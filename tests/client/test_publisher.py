"""What is published to many, on a medium that loses, and to listeners that hang, come late and go."""

from __future__ import annotations

import random

import pytest

from fedzmq.client.publisher import ATTEMPTS
from fedzmq.session.audience import AHEAD_BYTES, STALL
from fedzmq.session.chunk import Chunk, cut, digest, topic_of
from fedzmq.session.outbound import CHUNK_BYTES
from fedzmq.session.presence import AWAY
from fedzmq.session.reception import PATIENCE, Fate
from fedzmq.transports.connection import Delivery
from fedzmq.worker.subscriptions import Subscriptions
from tests.client.hall import Hall, Speaker

NAMES = ("alice", "bob", "carol")
MIB = 1 << 20


def whole(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def test_all_who_listen_have_the_whole() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(3 * CHUNK_BYTES + 17)
    assert speaker.publish(model, *NAMES) == list(NAMES)
    hall.settle()
    assert [listener.take(model, speaker) for listener in hall.listeners.values()] == [model] * 3


@pytest.mark.parametrize("count", [2, 8])
def test_it_leaves_its_publisher_once_however_many_listen(count: int) -> None:
    names = [f"worker{number}" for number in range(count)]
    hall = Hall(0, *names)
    speaker, model = hall.speaker(), whole(MIB)
    speaker.publish(model, *names)
    before = speaker.endpoint.bytes_sent
    assert speaker.publish(whole(MIB, 1), *names) == names
    assert MIB < speaker.endpoint.bytes_sent - before < 1.01 * MIB


def test_nothing_is_published_to_one_alone() -> None:
    hall = Hall(0, *NAMES)
    speaker = hall.speaker()
    assert speaker.publish(whole(MIB), "alice") == []
    assert speaker.endpoint.bytes_sent < 1000


def test_who_is_not_named_is_sent_nothing() -> None:
    hall = Hall(0, *NAMES)
    speaker, first, second = hall.speaker(), whole(MIB), whole(MIB, 1)
    speaker.publish(first, *NAMES)
    hall.settle(0.2)
    before = hall.listeners["carol"].endpoint.bytes_received
    assert speaker.publish(second, "alice", "bob") == ["alice", "bob"]
    hall.settle()
    assert hall.listeners["carol"].endpoint.bytes_received - before < 10_000


@pytest.mark.parametrize("lost", range(3))
def test_who_loses_a_chunk_lacks_the_whole_and_the_others_do_not(lost: int) -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(3 * CHUNK_BYTES)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle()
    hall.medium.lose = {hall.medium.given + 3 * lost + 1}  # of three that are given each chunk, the second
    assert speaker.publish(model, *NAMES) == list(NAMES)
    hall.medium.lose = ()
    hall.settle(0.5)
    fates = [listener.fate(model, speaker) for listener in hall.listeners.values()]
    assert fates == [Fate.HERE, Fate.MISSING if lost < 2 else Fate.COMING, Fate.HERE]
    hall.settle(PATIENCE + 0.1)
    assert hall.listeners["bob"].fate(model, speaker) is Fate.MISSING


@pytest.mark.parametrize("seed", range(5))
def test_on_any_medium_a_whole_is_right_or_missing(seed: int) -> None:
    hall = Hall(seed, *NAMES, drop=0.1, duplicate=0.1, reorder=0.1, delay=(0.0, 0.2))
    speaker = hall.speaker()
    for turn in range(4):
        model = whole(2 * MIB + turn, turn)
        speaker.publish(model, *NAMES)
        for listener in hall.listeners.values():
            listener.fate(model, speaker)
        hall.settle(PATIENCE + 2.0)
        for listener in hall.listeners.values():
            fate, got = listener.fate(model, speaker), listener.take(model, speaker)
            assert (fate, got) in ((Fate.HERE, model), (Fate.MISSING, None))


def test_who_hangs_is_left_behind_and_the_others_have_the_whole() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 4 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle()
    hall.listeners["bob"].is_frozen = True
    before, began = speaker.endpoint.bytes_sent, hall.medium.clock()
    assert speaker.publish(model, *NAMES) == ["alice", "carol"]
    assert hall.medium.clock() - began < STALL + 1.5
    assert speaker.endpoint.bytes_sent - before < 1.01 * len(model)
    assert hall.medium.in_flight_bytes("bob") <= AHEAD_BYTES + CHUNK_BYTES
    hall.settle(1.0)
    assert [hall.listeners[name].take(model, speaker) for name in ("alice", "carol")] == [model, model]


def test_who_hangs_is_waited_for_once_and_listens_again_when_it_wakes() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 4 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.listeners["bob"].is_frozen = True
    speaker.publish(model, *NAMES)
    began = hall.medium.clock()
    assert speaker.publish(model, *NAMES) == ["alice", "carol"]
    assert hall.medium.clock() - began < STALL
    hall.listeners["bob"].is_frozen = False
    hall.settle()
    assert hall.listeners["bob"].take(model, speaker) is None
    assert speaker.publish(model, *NAMES) == list(NAMES)
    hall.settle()
    assert hall.listeners["bob"].take(model, speaker) == model


def test_who_dies_holds_up_nobody_for_long() -> None:
    hall = Hall(0, *NAMES, silence=10.0)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 4 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.medium.kill("bob")
    hall.listeners["bob"].is_frozen = True
    began = hall.medium.clock()
    assert speaker.publish(model, *NAMES) == ["alice", "carol"]
    assert hall.medium.clock() - began < STALL + 1.5


def test_a_slow_listener_that_makes_progress_is_waited_for() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 8 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle()
    connection, turns = hall.listeners["bob"].endpoint.connection, 0
    recv = connection.recv

    def slowly(timeout: float | None) -> Delivery | None:
        nonlocal turns
        turns += 1
        return recv(timeout) if turns % 100 == 0 else None

    connection.recv = slowly  # type: ignore[method-assign]
    assert speaker.publish(model, *NAMES) == list(NAMES)
    assert hall.medium.in_flight_bytes("bob") <= AHEAD_BYTES + CHUNK_BYTES


def test_who_comes_in_the_middle_hears_the_next_whole() -> None:
    hall = Hall(0, *NAMES)
    speaker, first, second = hall.speaker(), whole(MIB), whole(MIB, 1)
    speaker.publish(first, "alice", "bob")
    assert speaker.publish(second, *NAMES) == list(NAMES)
    hall.settle(1.0)
    assert hall.listeners["carol"].take(second, speaker) == second


def test_a_whole_that_the_medium_lost_in_the_middle_is_published_again() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 8 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle()
    has_crashed = False
    step = hall.step

    def crashing() -> None:
        nonlocal has_crashed
        if not has_crashed and hall.medium.in_flight_bytes("bob") > 8 * MIB:
            has_crashed = True
            hall.medium.crash()
        step()

    hall.step = crashing  # type: ignore[method-assign]
    assert speaker.publish(model, *NAMES) == list(NAMES)
    assert has_crashed
    hall.settle(1.0)
    assert [listener.take(model, speaker) for listener in hall.listeners.values()] == [model] * 3


def test_a_medium_that_loses_all_the_time_is_given_up() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 8 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    step = hall.step

    def crashing() -> None:
        if hall.medium.in_flight_bytes("bob") > 8 * MIB:
            hall.medium.crash()
        step()

    hall.step = crashing  # type: ignore[method-assign]
    before = speaker.endpoint.bytes_sent
    assert speaker.publish(model, *NAMES) == []
    assert speaker.endpoint.bytes_sent - before < 1.01 * ATTEMPTS * len(model)


def forged(hall: Hall, speaker: Speaker, name: str, model: bytes, body: bytes) -> None:
    """A party of that name publishes a chunk on the speaker's topic."""
    with hall.medium.connect(name) as stranger:
        topic = topic_of(speaker.endpoint.connection.name, speaker.endpoint.boot, 1)
        stranger.publish(topic, Chunk(digest([model]), len(body), 0, 0, body).frames(), bulk=True)


def test_what_others_publish_on_the_topic_is_not_heard() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle(0.2)
    forged(hall, speaker, "mallory", model, b"forged")
    hall.settle(0.2)
    speaker.publish(model, *NAMES)
    forged(hall, speaker, "mallory", model, b"forged")
    hall.settle(0.2)
    assert [listener.take(model, speaker) for listener in hall.listeners.values()] == [model] * 3


def test_garbage_on_the_topic_costs_nothing() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    topic = topic_of("coordinator", speaker.endpoint.boot, 1)
    for frames in ([], [b""], [b"x" * 57, b"y"], [b"a", b"b", b"c"]):
        speaker.endpoint.connection.publish(topic, frames, bulk=True)
    assert speaker.publish(model, *NAMES) == list(NAMES)
    hall.settle(0.5)
    assert hall.listeners["bob"].take(model, speaker) == model
    assert hall.listeners["bob"].endpoint.refused == 4


def test_two_who_publish_at_once_do_not_disturb_each_other() -> None:
    hall = Hall(0, *NAMES)
    one, two, first, second = hall.speaker("one"), hall.speaker("two"), whole(2 * MIB), whole(2 * MIB, 1)
    assert one.publish(first, *NAMES) == two.publish(second, *NAMES) == list(NAMES)
    hall.settle(0.5)
    for listener in hall.listeners.values():
        assert (listener.take(first, one), listener.take(second, two)) == (first, second)


def test_a_third_model_that_is_half_here_has_no_place() -> None:
    hall = Hall(0, *NAMES)
    speakers = [hall.speaker(f"speaker{number}") for number in range(3)]
    models = [whole(MIB, number) for number in range(3)]
    for number, speaker in enumerate(speakers):
        speaker.publish(whole(MIB, 10 + number), *NAMES)
    hall.settle(0.5)
    for speaker, model in zip(speakers, models, strict=True):
        topic = topic_of(speaker.endpoint.connection.name, speaker.endpoint.boot, 1)
        chunk = Chunk(digest([model]), len(model), 0, MIB, next(cut([model])))
        speaker.endpoint.publish(topic, chunk.frames())
    hall.settle(0.2)
    fates = [hall.listeners["bob"].fate(model, speaker) for model, speaker in zip(models, speakers, strict=True)]
    assert fates == [Fate.COMING, Fate.COMING, Fate.MISSING]


def test_nobody_listens_to_a_publisher_that_left() -> None:
    hall = Hall(0, *NAMES)
    speaker = hall.speaker()
    speaker.publish(whole(MIB), *NAMES)
    assert len(hall.medium.subscribers(topic_of("coordinator", speaker.endpoint.boot, 1))) == 3
    hall.speakers.remove(speaker)
    speaker.endpoint.close()
    hall.settle(1.0)
    assert hall.medium.subscribers(topic_of("coordinator", speaker.endpoint.boot, 1)) == []


def test_who_misses_a_whole_rests_for_longer_each_time() -> None:
    hall = Hall(0, *NAMES)
    speaker, heard = hall.speaker(), []
    for turn in range(12):
        names = speaker.publish(whole(MIB, turn), *NAMES)
        heard.append("bob" in names)
        if heard[-1]:
            speaker.publisher.missed(speaker.peers["bob"])
    assert [turn for turn, is_in in enumerate(heard) if is_in] == [0, 2, 5, 10]


def test_a_miss_that_is_long_ago_does_not_count() -> None:
    hall = Hall(0, *NAMES)
    speaker, heard = hall.speaker(), []
    for turn in range(12):
        heard.append("bob" in speaker.publish(whole(MIB, turn), *NAMES))
        if turn in (0, 6):
            speaker.publisher.missed(speaker.peers["bob"])
    assert [turn for turn, is_in in enumerate(heard) if not is_in] == [1, 7]


def test_a_medium_that_is_away_is_waited_for_and_said_to_be() -> None:
    hall, said = Hall(0, *NAMES), []
    speaker, model = hall.speaker(), whole(AHEAD_BYTES + 8 * MIB)
    speaker.publish(whole(MIB, 1), *NAMES)
    hall.settle()
    step, cut_at = hall.step, 0.0

    def away() -> None:
        nonlocal cut_at
        if not cut_at and hall.medium.in_flight_bytes("bob") > 8 * MIB:
            cut_at = hall.medium.clock()
            hall.medium.cut("coordinator", *NAMES)
        elif cut_at and hall.medium.clock() > cut_at + 5.0:
            hall.medium.mend()
        step()

    hall.step = away  # type: ignore[method-assign]
    assert speaker.publish(model, *NAMES, say=said.append) == list(NAMES)
    assert said == [f"faulty:// {AWAY}"]
    hall.settle(1.0)
    assert [listener.take(model, speaker) for listener in hall.listeners.values()] == [model] * 3


def test_a_model_is_counted_to_its_client_as_long_as_anybody_has_it() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(MIB)
    speaker.publish(model, *NAMES)
    hall.settle()
    subscriptions = hall.listeners["bob"].subscriptions
    (peer,) = subscriptions.held()
    taken = subscriptions.reception(peer).take(digest([model]))
    in_use = subscriptions.held()[peer]
    del taken

    assert (in_use, subscriptions.held()[peer]) == (MIB, 0)


def test_a_model_larger_than_a_client_may_keep_does_not_come() -> None:
    hall = Hall(0, *NAMES)
    speaker, model = hall.speaker(), whole(MIB)
    listener = hall.listeners["bob"]
    listener.subscriptions = Subscriptions(listener.endpoint, hall.medium.clock, most_bytes=MIB - 1)
    speaker.publish(model, *NAMES)
    hall.settle()

    assert [hall.listeners[name].take(model, speaker) is None for name in NAMES] == [False, True, False]
