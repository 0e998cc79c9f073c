from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.session.chunk import Chunk, cut, digest, parse
from fedzmq.session.session import MOST_MESSAGE_BYTES

NAME = bytes(range(32))


def test_what_is_framed_is_parsed() -> None:
    chunk = Chunk(NAME, 100, 40, 12345, b"x" * 60)
    assert parse(chunk.frames()) == chunk


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(NAME, 100, 0, 0, b""),
        Chunk(NAME, 100, 41, 0, bytes(60)),
        Chunk(NAME, 100, 101, 0, bytes(1)),
        Chunk(NAME, 0, 0, 0, b""),
        Chunk(NAME, MOST_MESSAGE_BYTES + 1, 0, 0, bytes(1)),
    ],
    ids=["nothing", "too long", "beyond the end", "of nothing", "too large a whole"],
)
def test_what_is_no_part_of_a_whole_is_refused(chunk: Chunk) -> None:
    with pytest.raises(ProtocolError):
        parse(chunk.frames())


def test_another_version_is_refused() -> None:
    header, body = Chunk(NAME, 1, 0, 0, b"x").frames()
    with pytest.raises(ProtocolError, match="version 9"):
        parse([b"\x09" + bytes(header)[1:], body])


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_any_other_frames_are_refused_as_such(frames: list[bytes]) -> None:
    with suppress(ProtocolError):
        parse(frames)


@given(st.lists(st.binary(max_size=20), max_size=12), st.integers(1, 25))
def test_pieces_are_of_one_size_and_join_to_the_whole(buffers: list[bytes], size: int) -> None:
    pieces = list(cut([memoryview(each) for each in buffers], size))
    assert b"".join(pieces) == b"".join(buffers)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert not pieces or 0 < len(pieces[-1]) <= size


def test_a_piece_keeps_no_memory_of_its_source() -> None:
    memory = bytearray(b"abcdef")
    (piece,) = cut([memory])
    memory[:] = b"uvwxyz"
    assert piece == b"abcdef"


def test_the_name_is_that_of_all_bytes_behind_each_other() -> None:
    assert digest([b"ab", b"", memoryview(b"c")]) == hashlib.sha256(b"abc").digest()
