"""Who is connected, as the medium tells it: of each party one frame, of fixed fields and its name."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from fedzmq.errors import InvalidName, ProtocolError
from fedzmq.transports.connection import Buffer
from fedzmq.transports.names import check_name

_FORM = struct.Struct(">ddQ")


@dataclass(frozen=True, slots=True)
class Party:
    """here: seconds since it came. silent: seconds since anything came from it. dropped: messages to it that were lost,
    because it did not take what came before.
    """

    name: str
    here: float
    silent: float
    dropped: int

    def frame(self) -> bytes:
        return _FORM.pack(self.here, self.silent, self.dropped) + self.name.encode()


def parse(frame: Buffer) -> Party:
    """The party that a frame tells of; ProtocolError for anything else."""
    try:
        here, silent, dropped = _FORM.unpack_from(frame)
        name = check_name(bytes(frame[_FORM.size :]).decode())
    except (struct.error, UnicodeDecodeError, InvalidName) as error:
        raise ProtocolError(f"no party: {error}") from None
    if not (0 <= here < math.inf and 0 <= silent < math.inf):
        raise ProtocolError(f"no party is here for {here:g} s and silent for {silent:g} s")
    return Party(name, here, silent, dropped)
