"""The hook that programs written for PySyft start with."""

from __future__ import annotations

import math
import os
from types import ModuleType
from typing import TYPE_CHECKING

from fedzmq.client.client import Client
from fedzmq.datasets.federate import install
from fedzmq.transports.memory import MemoryConnection

if TYPE_CHECKING:
    from fedzmq.client.virtual import VirtualWorker


class TorchHook:
    """What a program written for PySyft makes first: it installs the verbs. `strict` keeps operands apart.

    With `strict` an operation takes no operand from elsewhere: neither a local tensor nor one of another worker.
    `client` is that of the virtual workers, which live in this process.
    """

    def __init__(self, torch: ModuleType, strict: bool = False) -> None:
        install()
        self.torch = torch
        self.strict = strict
        # Nobody can fall silent in one process, so nobody has to look after heartbeats.
        connection = MemoryConnection(f"memory://hook-{os.urandom(4).hex()}", "me")
        self.client = Client(connection, silence=math.inf, tended=False, direct=False)
        self.local_worker = self.client.home
        self.virtual_workers: dict[str, VirtualWorker] = {}

    def __repr__(self) -> str:
        return f"<TorchHook with {', '.join(self.virtual_workers) or 'no worker'}>"

    def close(self) -> None:
        """Stop the virtual workers; what they stored is gone. Twice is fine."""
        for worker in self.virtual_workers.values():
            worker.close()
        self.client.close()
