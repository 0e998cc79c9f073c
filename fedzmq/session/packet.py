"""What one party of a session puts into a transport's message: a header of fixed form, and a part of its stream.

A message that is small and whole travels inside the header's own frame, because every frame costs each hop as much as
its bytes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from fedzmq.errors import ProtocolError
from fedzmq.session.shared_memory import Region
from fedzmq.transports.connection import Buffer

VERSION = 4
BOOT_BYTES = 8
MOST_FRAMES = 70_000
MOST_FRAME_BYTES = 1 << 40
INLINE_BYTES = 16 * 1024  # of a whole message that travels in the frame of its header
_COUNTER = 1 << 62
# Version, kind, lane, where the parts are, source, target, epoch: what the packets of a session have in common. Then
# number, ack, limit, how many sizes there are, and the sizes.
_ADDRESS = Struct("!4B8s8sQ")
_HEADER = Struct("!4B8s8s4QI")
_SIZES = tuple(Struct(f"!{count}Q") for count in range(9))  # of the lengths that nearly all have
_PLACES = tuple(Struct(f"!3QI{count}Q") for count in range(9))
ADDRESS_BYTES = _ADDRESS.size
_COUNT_AT = _HEADER.size - 1  # the last byte of how many sizes there are
HEADER_BYTES = _HEADER.size + 8 * MOST_FRAMES
_FRAMES, _INLINE, _SHARED = range(3)  # parts are in frames of their own, in the header's, or in shared memory
_REGION = Struct("!QQ")


class Kind(IntEnum):
    """What a packet is for."""

    DATA = 0  # carries a numbered part of the stream
    ACK = 1  # only says what arrived, and how much more may come
    RESET = 2  # the session that a packet belonged to is not known here
    OFFER = 3  # of memory, see `fedzmq.session.sharing`
    ANSWER = 4  # to an offer


class Lane(IntEnum):
    """Two independent streams between the same two parties: one never waits for the other."""

    COMMANDS = 0  # in the order of the program; may wait behind bulk and behind training
    CONTROL = 1  # acted on at once, even in the middle of training


# By value: an enum's own look-up costs more than all other checks of a header.
_KINDS = tuple(Kind)
_LANES = tuple(Lane)


class Packet(NamedTuple):
    """A numbered part of a stream of messages.

    `source` and `target` are the incarnations of the two processes, and `epoch` counts the sessions that one pair of
    incarnations had. `ack` says that every packet up to that number arrived; `limit` is how many bytes the other side
    may have sent in all. `sizes` (bytes of each frame) is set on the packet that begins a message, and empty on those
    that continue it. Its parts are here, or they lie in a `region` of memory that the two sides share.
    """

    kind: Kind
    lane: Lane
    source: bytes
    target: bytes
    epoch: int
    number: int
    ack: int
    limit: int
    sizes: tuple[int, ...]
    parts: Sequence[Buffer]
    region: Region | None = None

    @property
    def size(self) -> int:
        """Bytes of its parts, wherever they are."""
        return sum(map(len, self.parts)) if self.region is None else self.region.nbytes

    def frames(self) -> list[Buffer]:
        kind, lane, source, target, epoch, number, ack, limit, sizes, parts, region = self
        form = _FRAMES
        if region is not None:
            form, parts = _SHARED, (_REGION.pack(*region),)
        elif sizes and sum(sizes) <= INLINE_BYTES and tuple(map(len, parts)) == sizes:
            form = _INLINE
        address = _ADDRESS.pack(VERSION, kind, lane, form, source, target, epoch)
        if form == _FRAMES:
            return [inline(address, number, ack, limit, sizes, ()), *parts]
        return [inline(address, number, ack, limit, sizes, parts)]


def inline_address(lane: Lane, source: bytes, target: bytes, epoch: int) -> bytes:
    """How every packet of a session begins that holds a whole message in its one frame."""
    return _ADDRESS.pack(VERSION, Kind.DATA, lane, _INLINE, source, target, epoch)


def inline(address: bytes, number: int, ack: int, limit: int, sizes: tuple[int, ...], parts: Sequence[Buffer]) -> bytes:
    """The one frame of a packet that holds a whole message; its header alone, where the parts follow otherwise."""
    count = len(sizes)
    place = _PLACES[count] if count < len(_PLACES) else Struct(f"!3QI{count}Q")
    return b"".join((address, place.pack(number, ack, limit, count, *sizes), *parts))


def parse(frames: Sequence[Buffer]) -> Packet:
    """The packet that these frames are. Raises ProtocolError for anything else, and allocates nothing by its word."""
    if not frames:
        raise ProtocolError("a packet needs a header")
    head = frames[0]
    length = len(head)
    if length and head[0] != VERSION:
        raise ProtocolError(f"the peer speaks version {head[0]} of the session protocol, and this is {VERSION}")
    if not _HEADER.size <= length <= HEADER_BYTES + INLINE_BYTES:
        raise ProtocolError(f"a packet's header has {_HEADER.size} bytes or more, not {length}")
    _, kind, lane, form, source, target, epoch, number, ack, limit, count = _HEADER.unpack_from(head)
    if (epoch | number | ack | limit) >= _COUNTER:
        raise ProtocolError("a packet counts further than any session goes")
    if kind >= len(_KINDS) or lane >= len(_LANES) or form > _SHARED:
        raise ProtocolError(f"no packet has kind {kind}, lane {lane} and form {form}")
    if count > MOST_FRAMES:
        raise ProtocolError(f"a message has at most {MOST_FRAMES} frames, not {count}")
    begin = _HEADER.size + 8 * count
    if length < begin:
        raise ProtocolError(f"a packet's header breaks off: {length} bytes of {begin}")
    sizes: tuple[int, ...] = _sizes(count).unpack_from(head, _HEADER.size) if count else ()
    if count and max(sizes) > MOST_FRAME_BYTES:
        raise ProtocolError(f"a frame has at most {MOST_FRAME_BYTES} bytes, not {max(sizes)}")
    region: Region | None = None
    parts: Sequence[Buffer] = ()
    if form == _FRAMES:
        if length != begin:
            raise ProtocolError(f"a packet's header has {length - begin} bytes too many")
        parts = frames[1:]
    elif form == _SHARED:
        if len(frames) > 1 or length - begin != _REGION.size:
            raise ProtocolError(f"a packet says in {length - begin} bytes where its parts lie, not in {_REGION.size}")
        region = Region(*_REGION.unpack_from(head, begin))
        if not 0 < region.nbytes <= MOST_FRAME_BYTES:
            raise ProtocolError(f"a packet has {region.nbytes} bytes in shared memory")
    elif len(frames) > 1 or sum(sizes) != length - begin:
        raise ProtocolError(f"a packet holds {length - begin} bytes of a message of {sum(sizes)}")
    else:
        parts = _split(head, begin, sizes)
    return Packet(_KINDS[kind], _LANES[lane], source, target, epoch, number, ack, limit, sizes, parts, region)


def parse_inline(frame: bytes) -> tuple[int, int, int, list[Buffer]] | None:
    """Number, ack, limit and parts of the packet that this frame is, whose inline address was recognised.

    None for any of which there is more to say: that is for `parse`.
    """
    try:
        few = frame[_COUNT_AT]
        number, ack, limit, count, *sizes = _PLACES[few].unpack_from(frame, ADDRESS_BYTES)
    except (IndexError, StructError):
        return None
    if count != few or not few or (number | ack | limit) >= _COUNTER:
        return None
    parts: list[Buffer] = []
    begin = _HEADER.size + 8 * few
    for size in sizes:
        end = begin + size
        parts.append(frame[begin:end])
        begin = end
    return (number, ack, limit, parts) if begin == len(frame) else None


def _sizes(count: int) -> Struct:
    return _SIZES[count] if count < len(_SIZES) else Struct(f"!{count}Q")


def _split(head: Buffer, begin: int, sizes: tuple[int, ...]) -> list[Buffer]:
    parts: list[Buffer] = []
    for size in sizes:
        parts.append(head[begin : begin + size])
        begin += size
    return parts
