"""Workers and clients of one process, which meet on a hub that no other test knows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Protocol

from fedzmq.client.client import Client
from fedzmq.data.data import Data
from fedzmq.transports.memory import MemoryConnection
from fedzmq.worker.worker import Worker

NEVER = 1e9  # seconds


class Closes(Protocol):
    def close(self) -> None: ...


class Meeting:
    """Opens what a test asks for, and closes all of it. Nobody falls silent: silence has tests of its own."""

    def __init__(self) -> None:
        self.address = f"memory://{uuid.uuid4().hex}"
        self._open: list[Closes] = []
        self._threads: dict[Worker, threading.Thread] = {}

    def worker(self, name: str, data: Iterable[Data] = (), **options: Any) -> Worker:
        """One without a thread: whoever waits for it runs it."""
        connection = MemoryConnection(self.address, name)
        worker = Worker(connection, data=data, silence=NEVER, **options)
        connection.serve(lambda: worker.step(0.0))
        self._open.append(worker)
        worker.step(0.0)  # its first sign of life
        return worker

    def running_worker(
        self, name: str, data: Iterable[Data] = (), say: Callable[[str], None] = lambda line: None
    ) -> Worker:
        """One with a thread, as in a process of its own."""
        worker = Worker(MemoryConnection(self.address, name), data=data, silence=NEVER, say=say)
        self._threads[worker] = threading.Thread(target=worker.run)
        self._threads[worker].start()
        self._open.append(worker)
        return worker

    def client(self, name: str = "client") -> Client:
        client = Client(MemoryConnection(self.address, name), silence=NEVER, tended=False)
        self._open.append(client)
        return client

    def opened(self, other: Closes) -> None:
        """Something else to close at the end."""
        self._open.append(other)

    def __enter__(self) -> Meeting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in reversed(self._open):
            if isinstance(each, Worker) and each in self._threads:
                each.stop()
                self._threads[each].join()
            each.close()
