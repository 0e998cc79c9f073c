"""What one side puts in comes out at the other, and nothing that either does makes the other fall."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.session.shared_memory import MOST_AT_ONCE, MOST_NBYTES, BorrowedMemory, LentMemory, Offer, Region

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")

NBYTES = 1000


@pytest.fixture
def lent() -> Iterator[LentMemory]:
    memory = LentMemory(NBYTES)
    yield memory
    memory.close()


@pytest.fixture
def borrowed(lent: LentMemory) -> Iterator[BorrowedMemory]:
    memory = BorrowedMemory(Offer.decode(lent.offer.encode()))
    yield memory
    memory.close()


def test_what_is_put_in_is_read_into_buffers_of_other_sizes(lent: LentMemory, borrowed: BorrowedMemory) -> None:
    region = lent.put([b"one", memoryview(b"two"), bytearray(b"three")])
    assert region is not None
    first, second = bytearray(4), bytearray(7)
    borrowed.read(region, [memoryview(first), memoryview(second)])
    assert first + second == b"onetwothree"


def test_more_buffers_than_a_system_call_takes_are_no_matter(lent: LentMemory, borrowed: BorrowedMemory) -> None:
    count = MOST_AT_ONCE + 10
    parts = [bytes([number % 256]) for number in range(count)]
    region = lent.put(parts)
    assert region is not None
    room = [bytearray(1) for _ in range(count)]
    borrowed.read(region, [memoryview(each) for each in room])
    assert room == parts


@given(st.lists(st.tuples(st.integers(1, NBYTES), st.integers(0, 3)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_nothing_that_was_not_freed_is_written_over(script: list[tuple[int, int]]) -> None:
    lent = LentMemory(NBYTES)
    borrowed = BorrowedMemory(lent.offer)
    there: deque[tuple[Region, bytes]] = deque()
    try:
        for number, (nbytes, freed) in enumerate(script):
            for _ in range(min(freed, len(there))):
                there.popleft()
                lent.free()
            assert there or lent.fits(nbytes)
            if lent.fits(nbytes):
                content = bytes([number % 256]) * nbytes
                region = lent.put([content])
                assert region is not None
                there.append((region, content))
            for region, content in there:
                room = bytearray(region.nbytes)
                borrowed.read(region, [memoryview(room)])
                assert room == content
    finally:
        lent.close()
        borrowed.close()


def test_what_does_not_fit_is_told_before(lent: LentMemory) -> None:
    assert not lent.fits(NBYTES + 1)
    assert lent.put([bytes(600)]) is not None
    assert not lent.fits(500)
    with pytest.raises(ValueError, match="500 bytes do not fit"):
        lent.put([bytes(500)])


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": bytes(16)},
        {"process": 0},
        {"descriptor": 0},
        {"nbytes": MOST_NBYTES + 1},
        {"nbytes": NBYTES + 1},
        {"nbytes": 0},
    ],
    ids=str,
)
def test_only_the_memory_that_was_offered_is_opened(lent: LentMemory, changed: dict[str, int | bytes]) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=r"no such memory|No such file|no memory of that size"):
        BorrowedMemory(lent.offer._replace(**changed))  # type: ignore[arg-type]
    assert os.listdir("/proc/self/fd") == before


def test_no_other_file_is_opened_by_whoever_names_it(lent: LentMemory) -> None:
    with open("/proc/self/status", "rb") as other, pytest.raises(OSError, match="no such memory"):
        BorrowedMemory(lent.offer._replace(descriptor=other.fileno()))


def test_beyond_the_end_there_is_nothing(borrowed: BorrowedMemory) -> None:
    with pytest.raises(ProtocolError, match="beyond"):
        borrowed.read(Region(NBYTES - 1, 2), [memoryview(bytearray(2))])


def test_an_owner_that_cuts_it_off_does_not_make_the_reader_fall(lent: LentMemory, borrowed: BorrowedMemory) -> None:
    region = lent.put([bytes(NBYTES)])
    assert region is not None
    os.ftruncate(lent.offer.descriptor, 10)
    with pytest.raises(ProtocolError, match="ends before"):
        borrowed.read(region, [memoryview(bytearray(NBYTES))])


def test_what_lies_there_is_read_after_its_owner_is_gone(lent: LentMemory, borrowed: BorrowedMemory) -> None:
    region = lent.put([b"left"])
    assert region is not None
    lent.close()
    room = bytearray(4)
    borrowed.read(region, [memoryview(room)])
    assert room == b"left"


def test_a_system_that_has_no_more_is_told_by_nothing_put_in(
    lent: LentMemory, borrowed: BorrowedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, buffers: object, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    assert lent.put([b"x"]) is None
    assert not lent.is_usable


def test_a_system_without_such_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(OSError, match="without a name"):
        LentMemory()


def test_no_descriptor_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    lent = LentMemory(NBYTES)
    borrowed = BorrowedMemory(lent.offer)
    for memory in (lent, borrowed, lent, borrowed):
        memory.close()
    assert os.listdir("/proc/self/fd") == before


@given(st.binary(max_size=60))
def test_any_bytes_are_an_offer_or_a_protocol_error(encoded: bytes) -> None:
    try:
        assert Offer.decode(encoded).encode() == encoded
    except ProtocolError:
        return
