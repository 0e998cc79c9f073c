"""The sign of life that every party publishes, so that presence is the same on every medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from fedzmq.errors import ProtocolError
from fedzmq.session.packet import BOOT_BYTES
from fedzmq.transports.connection import Buffer

WORKERS = "workers"  # topic: heartbeats of workers
CLIENTS = "clients"  # topic: heartbeats of clients
ROLL_CALL = "roll-call"  # topic: a client asks all workers for a heartbeat now
MOST_OWED = 8  # peers of whom is told how much is on its way to them
_MOST_BYTES = 4096
_MOST_TEXT = 256


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`boot` is the incarnation of the process, `busy` what it does in words, `leaving` that this is its last, and
    `owed` how many bytes have not arrived yet of what it sends, and with whom.
    """

    boot: bytes
    busy: str = ""
    leaving: bool = False
    owed: tuple[tuple[str, int], ...] = ()

    def frames(self) -> list[Buffer]:
        busy = self.busy.encode()[:_MOST_TEXT].decode(errors="ignore")
        most = sorted(self.owed, key=lambda each: -each[1])[:MOST_OWED]
        return [msgpack.packb((self.boot, busy, self.leaving, [part for each in most for part in each]))]


def parse(frames: Sequence[Buffer]) -> Heartbeat:
    """The heartbeat that these frames are; ProtocolError for anything else."""
    if len(frames) != 1 or len(frames[0]) > _MOST_BYTES:
        raise ProtocolError("a heartbeat is one small frame")
    try:
        boot, busy, leaving, owed = msgpack.unpackb(
            frames[0], max_array_len=2 * MOST_OWED, max_map_len=0, max_bin_len=BOOT_BYTES, max_str_len=_MOST_TEXT
        )
    except Exception as error:  # msgpack answers hostile bytes with several unrelated exceptions
        raise ProtocolError(f"a heartbeat is not four fields: {type(error).__name__}") from None
    if type(boot) is not bytes or len(boot) != BOOT_BYTES or type(busy) is not str or type(leaving) is not bool:
        raise ProtocolError("a heartbeat begins with an incarnation, a text and a flag")
    return Heartbeat(boot, busy, leaving, _pairs(owed))


def _pairs(owed: Any) -> tuple[tuple[str, int], ...]:
    if type(owed) is list and len(owed) % 2 == 0:
        pairs = tuple(zip(owed[::2], owed[1::2], strict=True))
        if all(type(name) is str and type(count) is int and count >= 0 for name, count in pairs):
            return pairs
    raise ProtocolError("what a heartbeat says to be on its way is names and numbers of bytes")
