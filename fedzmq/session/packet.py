"""What one party of a session puts into a transport's message: a short header, and a part of the sender's stream.

The header is a positional msgpack array, so there are no keys to repeat or to order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import msgpack

from fedzmq.errors import ProtocolError
from fedzmq.transports.connection import Buffer

VERSION = 1
BOOT_BYTES = 8
HEADER_BYTES = 512 * 1024  # room for the sizes of as many frames
MOST_FRAMES = 70_000
MOST_FRAME_BYTES = 1 << 40
_FIELDS = 10
_COUNTER = 1 << 62


class Kind(IntEnum):
    """What a packet is for."""

    DATA = 0  # carries a numbered part of the stream
    ACK = 1  # only says what arrived, and how much more may come
    RESET = 2  # the session that a packet belonged to is not known here


class Lane(IntEnum):
    """Two independent streams between the same two parties: one never waits for the other."""

    COMMANDS = 0  # in the order of the program; may wait behind bulk and behind training
    CONTROL = 1  # acted on at once, even in the middle of training


# By value: an enum's own look-up costs more than all other checks of a header.
_KINDS = {int(kind): kind for kind in Kind}
_LANES = {int(lane): lane for lane in Lane}


class Packet(NamedTuple):
    """A numbered part of a stream of messages.

    `source` and `target` are the incarnations of the two processes, and `epoch` counts the sessions that one pair of
    incarnations had. `ack` says that every packet up to that number arrived; `limit` is how many bytes the other side
    may have sent in all. `sizes` (bytes of each frame) is set on the packet that begins a message, and empty on those
    that continue it.
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

    def frames(self) -> list[Buffer]:
        header = (
            VERSION,
            int(self.kind),
            int(self.lane),
            self.source,
            self.target,
            self.epoch,
            self.number,
            self.ack,
            self.limit,
            self.sizes,
        )
        return [msgpack.packb(header), *self.parts]


def parse(frames: Sequence[Buffer]) -> Packet:
    """The packet that these frames are. Raises ProtocolError for anything else, and allocates nothing by its word."""
    if not frames or len(frames[0]) > HEADER_BYTES:
        raise ProtocolError("a packet needs a header frame of at most 512 KiB")
    try:
        header = msgpack.unpackb(
            frames[0], use_list=False, max_str_len=0, max_bin_len=BOOT_BYTES, max_array_len=MOST_FRAMES, max_map_len=0
        )
    except Exception as error:  # msgpack answers hostile bytes with several unrelated exceptions
        raise ProtocolError(f"a packet's header is not msgpack: {type(error).__name__}") from None
    if type(header) is not tuple or len(header) != _FIELDS:
        raise ProtocolError(f"a packet's header has {_FIELDS} fields")
    version, kind, lane, source, target, epoch, number, ack, limit, sizes = header
    if version != VERSION:
        raise ProtocolError(f"the peer speaks version {version!r} of the session protocol, and this is {VERSION}")
    for value in (epoch, number, ack, limit):
        if type(value) is not int or not 0 <= value < _COUNTER:
            raise ProtocolError(f"a packet holds {value!r:.40} where a counter belongs")
    if type(source) is not bytes or type(target) is not bytes or len(source) + len(target) != 2 * BOOT_BYTES:
        raise ProtocolError(f"an incarnation is {BOOT_BYTES} bytes")
    if type(sizes) is not tuple:
        raise ProtocolError("a packet's sizes are an array")
    for size in sizes:
        if type(size) is not int or not 0 <= size <= MOST_FRAME_BYTES:
            raise ProtocolError(f"a packet holds {size!r:.40} where the size of a frame belongs")
    if type(kind) is not int or kind not in _KINDS or type(lane) is not int or lane not in _LANES:
        raise ProtocolError(f"no packet has kind {kind!r:.40} and lane {lane!r:.40}")
    return Packet(_KINDS[kind], _LANES[lane], source, target, epoch, number, ack, limit, sizes, frames[1:])
