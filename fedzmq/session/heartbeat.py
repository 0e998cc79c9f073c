"""The sign of life that every party publishes, so that presence is the same on every medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack

from fedzmq.errors import ProtocolError
from fedzmq.session.packet import BOOT_BYTES
from fedzmq.transports.connection import Buffer

WORKERS = "workers"  # topic: heartbeats of workers
CLIENTS = "clients"  # topic: heartbeats of clients
ROLL_CALL = "roll-call"  # topic: a client asks all workers for a heartbeat now
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`boot` is the incarnation of the process, `busy` what it does in words, `leaving` that this is its last."""

    boot: bytes
    busy: str = ""
    leaving: bool = False

    def frames(self) -> list[Buffer]:
        return [msgpack.packb((self.boot, self.busy, self.leaving))]


def parse(frames: Sequence[Buffer]) -> Heartbeat:
    """The heartbeat that these frames are; ProtocolError for anything else."""
    if len(frames) != 1 or len(frames[0]) > _MOST_BYTES:
        raise ProtocolError("a heartbeat is one small frame")
    try:
        boot, busy, leaving = msgpack.unpackb(
            frames[0], max_array_len=3, max_map_len=0, max_bin_len=BOOT_BYTES, max_str_len=256
        )
    except Exception as error:  # msgpack answers hostile bytes with several unrelated exceptions
        raise ProtocolError(f"a heartbeat is not three fields: {type(error).__name__}") from None
    if type(boot) is not bytes or len(boot) != BOOT_BYTES or type(busy) is not str or type(leaving) is not bool:
        raise ProtocolError("a heartbeat is an incarnation, a text and a flag")
    return Heartbeat(boot, busy, leaving)
