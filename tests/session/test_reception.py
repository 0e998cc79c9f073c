from __future__ import annotations

import pytest

from fedzmq.session.chunk import Chunk, cut, digest
from fedzmq.session.reception import ACK_BYTES, ACK_INTERVAL, PATIENCE, Fate, Reception

SIZE = 10


def chunks(whole: bytes, position: int = 0, name: bytes | None = None) -> list[Chunk]:
    name = digest([whole]) if name is None else name
    pieces = list(cut([whole], SIZE))
    return [
        Chunk(name, len(whole), number * SIZE, position + number * SIZE, piece) for number, piece in enumerate(pieces)
    ]


ONE, TWO = b"a" * 35, b"b" * 35
NAME, OTHER = digest([ONE]), digest([TWO])


def heard(*parts: Chunk, now: float = 0.0) -> Reception:
    reception = Reception()
    for part in parts:
        reception.accept(part, now)
    return reception


def test_a_whole_is_here_once_its_last_chunk_came() -> None:
    *most, last = chunks(ONE)
    reception = heard(*most)
    assert reception.fate(NAME, 0.0) is Fate.COMING
    reception.accept(last, 0.0)
    assert reception.fate(NAME, 0.0) is Fate.HERE
    whole = reception.take(NAME)
    assert whole is not None
    assert bytes(whole) == ONE


def test_a_whole_is_taken_once() -> None:
    reception = heard(*chunks(ONE))
    assert reception.take(OTHER) is None
    assert reception.take(NAME) is not None
    assert reception.take(NAME) is None


@pytest.mark.parametrize("lost", range(4))
def test_a_whole_with_a_gap_is_missing(lost: int) -> None:
    parts = chunks(ONE)
    del parts[lost]
    reception = heard(*parts)
    if lost == 3:  # nobody can know yet
        assert reception.fate(NAME, 0.0) is Fate.COMING
    assert reception.fate(NAME, 0.0 if lost < 3 else PATIENCE + 0.1) is Fate.MISSING


def test_a_whole_with_other_bytes_than_its_name_says_is_missing() -> None:
    reception = heard(*chunks(TWO, name=NAME))
    assert reception.fate(NAME, 0.0) is Fate.MISSING
    assert reception.take(NAME) is None


def test_a_whole_that_changes_its_size_is_missing() -> None:
    first, second, *_ = chunks(ONE)
    reception = heard(first, Chunk(NAME, 36, second.offset, second.position, second.body))
    assert reception.fate(NAME, 0.0) is Fate.MISSING


def test_a_chunk_that_comes_twice_costs_the_whole_and_no_more() -> None:
    first, *rest = chunks(ONE)
    reception = heard(first, *rest[:1], rest[0], *rest[1:])
    assert reception.fate(NAME, 0.0) is Fate.MISSING


def test_what_was_lost_can_come_once_more() -> None:
    reception = heard(*chunks(ONE)[1:], *chunks(ONE, position=35))
    assert reception.fate(NAME, 0.0) is Fate.HERE


def test_a_whole_that_begins_takes_the_place_of_the_one_before() -> None:
    reception = heard(*chunks(ONE)[:2], *chunks(TWO))
    assert reception.fate(NAME, 0.0) is Fate.MISSING
    assert reception.fate(OTHER, 0.0) is Fate.HERE


def test_two_wholes_are_never_held() -> None:
    reception = heard(*chunks(ONE), *chunks(TWO)[:1])
    assert reception.take(NAME) is None


def test_what_nobody_published_is_missing_after_a_while() -> None:
    reception = heard()
    assert reception.fate(NAME, 100.0) is Fate.COMING
    assert reception.fate(NAME, 100.0 + PATIENCE) is Fate.COMING
    assert reception.fate(NAME, 100.1 + PATIENCE) is Fate.MISSING


def test_nothing_is_given_up_while_chunks_come() -> None:
    parts, reception = chunks(ONE), heard()
    for number, part in enumerate(parts):
        now = 0.9 * PATIENCE * number
        assert reception.fate(NAME, now) is Fate.COMING
        reception.accept(part, now)
    assert reception.fate(NAME, 1000.0) is Fate.HERE


def test_what_was_half_here_when_the_medium_broke_is_missing() -> None:
    reception = heard(*chunks(ONE)[:2])
    reception.broke()
    assert reception.fate(NAME, 0.0) is Fate.MISSING


def test_what_is_here_outlives_the_medium() -> None:
    reception = heard(*chunks(ONE))
    reception.broke()
    assert reception.fate(NAME, 0.0) is Fate.HERE


def test_nothing_is_allocated_where_there_is_no_place() -> None:
    asked: list[int] = []

    def allocate(size: int) -> bytearray:
        raise AssertionError("allocated")

    def may_begin(size: int) -> bool:
        asked.append(size)
        return False

    reception = Reception(allocate, may_begin)
    for part in chunks(ONE):
        reception.accept(part, 0.0)
    assert asked == [35]
    assert reception.fate(NAME, 0.0) is Fate.MISSING


def test_a_whole_that_memory_is_too_small_for_is_missing() -> None:
    def allocate(size: int) -> bytearray:
        raise MemoryError

    reception = Reception(allocate)
    for part in chunks(ONE):
        reception.accept(part, 0.0)
    assert reception.fate(NAME, 0.0) is Fate.MISSING


def test_a_half_whole_that_nobody_goes_on_with_keeps_no_place() -> None:
    reception = heard(*chunks(ONE)[:2])
    assert reception.is_receiving(PATIENCE)
    assert not reception.is_receiving(PATIENCE + 0.1)
    assert reception.fate(NAME, PATIENCE + 0.1) is Fate.MISSING


def test_a_fast_publisher_is_told_now_and_then() -> None:
    body = bytes(ACK_BYTES // 4)
    reception, told = Reception(), []
    for number in range(12):
        reception.accept(Chunk(NAME, 1 << 40, number * len(body), number * len(body), body), 0.0)
        told.append(reception.owes(0.0))
    assert [each for each in told if each is not None] == [len(body) * count for count in (1, 5, 9)]


def test_a_slow_publisher_is_told_of_each_chunk() -> None:
    reception = Reception()
    for number, part in enumerate(chunks(ONE), 1):
        reception.accept(part, number * ACK_INTERVAL)
        assert reception.owes(number * ACK_INTERVAL) == min(number * SIZE, 35)


def test_nothing_new_is_not_told() -> None:
    reception = heard(*chunks(ONE))
    assert reception.owes(0.0) == 35
    assert reception.owes(1000.0) is None


def test_a_loss_counts_as_heard() -> None:
    *_, last = chunks(ONE, position=1000)
    assert heard(last).owes(0.0) == 1035
