"""A part of what one party publishes for many: which bytes they are of which whole, and how far the stream has come.

A whole is named by its SHA-256, so that whoever joined it knows whether it is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from fedzmq.errors import ProtocolError
from fedzmq.session.outbound import CHUNK_BYTES
from fedzmq.session.session import MOST_MESSAGE_BYTES
from fedzmq.transports.connection import Buffer

VERSION = 1
NAME_BYTES = 32
_HEADER = Struct(f"!B{NAME_BYTES}sQQQ")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes `offset` and on of the `total` that `name` names. `position` counts what its sender published before it."""

    name: bytes
    total: int
    offset: int
    position: int
    body: Buffer

    def frames(self) -> list[Buffer]:
        return [_HEADER.pack(VERSION, self.name, self.total, self.offset, self.position), self.body]


def parse(frames: Sequence[Buffer]) -> Chunk:
    """The chunk that these frames are. Raises ProtocolError for anything else, and allocates nothing by its word."""
    if len(frames) != 2 or len(frames[0]) != _HEADER.size:
        raise ProtocolError("a chunk is a header and a body")
    version, name, total, offset, position = _HEADER.unpack(frames[0])
    if version != VERSION:
        raise ProtocolError(f"the peer publishes by version {version}, and this is {VERSION}")
    body = frames[1]
    if not 0 < len(body) <= total - offset or total > MOST_MESSAGE_BYTES:
        raise ProtocolError(f"{len(body)} bytes from {offset} on are no part of {total} bytes")
    return Chunk(name, total, offset, position, body)


def digest(buffers: Iterable[Buffer]) -> bytes:
    """What the bytes of all buffers behind each other are named by."""
    name = hashlib.sha256()
    for buffer in buffers:
        name.update(buffer)
    return name.digest()


def cut(buffers: Iterable[Buffer], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes of all buffers behind each other, in pieces of `size` that need none of them any more."""
    pieces: list[memoryview] = []
    room = size
    for buffer in buffers:
        view = memoryview(buffer)
        while len(view) >= room:
            yield b"".join((*pieces, view[:room]))
            pieces, view, room = [], view[room:], size
        if view:
            pieces.append(view)
            room -= len(view)
    if pieces:
        yield b"".join(pieces)


def topic_of(publisher: str, boot: bytes, number: int) -> str:
    """Where an incarnation of a party publishes; it has one topic after the other."""
    return f"chunks/{publisher}/{boot.hex()}/{number}"
