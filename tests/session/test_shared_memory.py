"""What one side puts in comes out at the other, and nothing that either does makes the other fall."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.session.shared_memory import MOST_AT_ONCE, MOST_NBYTES, MemoryReader, MemoryWriter, Offer, Region

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no such memory")

NBYTES = 1000


@pytest.fixture(params=[0, NBYTES // 2, NBYTES], ids=["none of it mapped", "half of it mapped", "all of it mapped"])
def mapped(request: pytest.FixtureRequest) -> int:
    assert isinstance(request.param, int)
    return request.param


@pytest.fixture
def writer(mapped: int) -> Iterator[MemoryWriter]:
    memory = MemoryWriter(NBYTES, mapped)
    yield memory
    memory.close()


@pytest.fixture
def reader(writer: MemoryWriter, mapped: int) -> Iterator[MemoryReader]:
    memory = MemoryReader(Offer.decode(writer.offer.encode()), mapped)
    yield memory
    memory.close()


def test_what_is_put_in_is_read_into_buffers_of_other_sizes(writer: MemoryWriter, reader: MemoryReader) -> None:
    region = writer.put([b"one", memoryview(b"two"), bytearray(b"three")])
    assert region is not None
    first, second = bytearray(4), bytearray(7)
    reader.read(region, [memoryview(first), memoryview(second)])
    assert first + second == b"onetwothree"


def test_more_buffers_than_a_system_call_takes_are_no_matter(writer: MemoryWriter, reader: MemoryReader) -> None:
    count = MOST_AT_ONCE + 10
    parts = [bytes([number % 256]) for number in range(count)]
    region = writer.put(parts)
    assert region is not None
    room = [bytearray(1) for _ in range(count)]
    reader.read(region, [memoryview(each) for each in room])
    assert room == parts


@given(st.lists(st.tuples(st.integers(1, NBYTES), st.integers(0, 3)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_nothing_that_was_not_freed_is_written_over(script: list[tuple[int, int]]) -> None:
    writer = MemoryWriter(NBYTES, NBYTES // 2)
    reader = MemoryReader(writer.offer, NBYTES // 2)
    there: deque[tuple[Region, bytes]] = deque()
    try:
        for number, (nbytes, freed) in enumerate(script):
            for _ in range(min(freed, len(there))):
                there.popleft()
                writer.free()
            assert there or writer.fits(nbytes)
            if writer.fits(nbytes):
                content = bytes([number % 256]) * nbytes
                region = writer.put([content])
                assert region is not None
                there.append((region, content))
            for region, content in there:
                room = bytearray(region.nbytes)
                reader.read(region, [memoryview(room)])
                assert room == content
    finally:
        writer.close()
        reader.close()


def test_what_does_not_fit_is_told_before(writer: MemoryWriter) -> None:
    assert not writer.fits(NBYTES + 1)
    assert writer.put([bytes(600)]) is not None
    assert not writer.fits(500)
    with pytest.raises(ValueError, match="500 bytes do not fit"):
        writer.put([bytes(500)])


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
def test_only_the_memory_that_was_offered_is_opened(writer: MemoryWriter, changed: dict[str, int | bytes]) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=r"no such memory|No such file|no memory of that size"):
        MemoryReader(writer.offer._replace(**changed))  # type: ignore[arg-type]
    assert os.listdir("/proc/self/fd") == before


def test_no_other_file_is_opened_by_whoever_names_it(writer: MemoryWriter) -> None:
    with open("/proc/self/status", "rb") as other, pytest.raises(OSError, match="no such memory"):
        MemoryReader(writer.offer._replace(descriptor=other.fileno()))


def test_beyond_the_end_there_is_nothing(reader: MemoryReader) -> None:
    with pytest.raises(ProtocolError, match="beyond"):
        reader.read(Region(NBYTES - 1, 2), [memoryview(bytearray(2))])


def test_nobody_can_make_it_shorter(writer: MemoryWriter) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(writer.offer.descriptor, 10)


def test_memory_that_its_owner_could_cut_off_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "F_SEAL_SHRINK", 0)
    writer = MemoryWriter(NBYTES)
    monkeypatch.undo()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="could be made shorter"):
        MemoryReader(writer.offer)
    assert os.listdir("/proc/self/fd") == before
    writer.close()


def test_what_lies_there_is_read_after_its_owner_is_gone(writer: MemoryWriter, reader: MemoryReader) -> None:
    region = writer.put([b"left"])
    assert region is not None
    writer.close()
    room = bytearray(4)
    reader.read(region, [memoryview(room)])
    assert room == b"left"


def test_a_system_that_has_no_more_is_told_by_nothing_put_in(
    writer: MemoryWriter, reader: MemoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, buffers: object, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    assert writer.put([b"x"]) is None
    assert not writer.is_usable


def test_a_system_without_such_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(OSError, match="without a name"):
        MemoryWriter()


def test_no_descriptor_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    writer = MemoryWriter(NBYTES)
    reader = MemoryReader(writer.offer)
    for memory in (writer, reader, writer, reader):
        memory.close()
    assert os.listdir("/proc/self/fd") == before


@given(st.binary(max_size=60))
def test_any_bytes_are_an_offer_or_a_protocol_error(encoded: bytes) -> None:
    try:
        assert Offer.decode(encoded).encode() == encoded
    except ProtocolError:
        return
