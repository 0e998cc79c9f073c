"""Who is connected, as the medium tells it: of each party one frame, of fixed fields, its name, and what it hears."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from fedzmq.errors import InvalidName, ProtocolError
from fedzmq.transports.connection import Buffer
from fedzmq.transports.names import check_name, check_topic

_FORM = struct.Struct(">ddQ")


@dataclass(frozen=True, slots=True)
class Party:
    """here: seconds since it came. silent: seconds since anything came from it. dropped: messages to it that were lost,
    because it did not take what came before. hears: the topics that it subscribed to.
    """

    name: str
    here: float
    silent: float
    dropped: int
    hears: frozenset[str] = frozenset()

    def frame(self) -> bytes:
        texts = [each.encode() for each in (self.name, *sorted(self.hears))]
        return _FORM.pack(self.here, self.silent, self.dropped) + b"".join(bytes([len(each)]) + each for each in texts)


def parse(frame: Buffer) -> Party:
    """The party that a frame tells of; ProtocolError for anything else."""
    try:
        here, silent, dropped = _FORM.unpack_from(frame)
        name, *topics = _texts(bytes(frame[_FORM.size :]))
        party = Party(check_name(name), here, silent, dropped, frozenset(map(check_topic, topics)))
    except (struct.error, ValueError, InvalidName) as error:
        raise ProtocolError(f"no party: {error}") from None
    if not (0 <= here < math.inf and 0 <= silent < math.inf):
        raise ProtocolError(f"no party is here for {here:g} s and silent for {silent:g} s")
    return party


def _texts(data: bytes) -> Iterator[str]:
    """Each begins with its length in bytes."""
    start = 0
    while start < len(data):
        start, end = start + 1, start + 1 + data[start]
        if end > len(data):
            raise ProtocolError("a party is cut short")
        yield data[start:end].decode()
        start = end
