"""Where the workers of a federation are: at a broker, in processes started for them, or in this process."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fedzmq.cluster.local_cluster import BROKER, LocalCluster
from fedzmq.errors import UsageError

if TYPE_CHECKING:
    from fedzmq.client.client import Client
    from fedzmq.data.examples import Examples
    from fedzmq.data.load import Given
    from fedzmq.worker.training.kept_files import KeptFiles
    from fedzmq.worker.worker import Worker


class Site:
    """`workers`: how many a training waits for. `start` before `connect`; `close` ends what `start` began."""

    workers: int
    example: Examples | None = None
    """Data like the workers', where some is at hand."""
    is_open: bool = False
    """Others may come."""

    def start(self) -> None:
        """Begin what takes time, and do not wait for it. Raises ClusterError."""

    def connect(self) -> Client:
        """A client of the workers. Raises UnavailableError."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises ClusterError where nothing will ever come again."""

    def ended(self) -> list[str]:
        """What to say of workers that were started here and ended by themselves, once of each."""
        return []

    def keep_in(self, folder: Path) -> None:
        """Have workers that were started here keep in that folder what is to outlive them."""

    def stop(self) -> None:
        """Tell the workers that were started to end, and do not wait for it."""

    def close(self) -> None:
        """End them. Twice is fine."""


class Remote(Site):
    """Workers at a broker that others started."""

    is_open = True

    def __init__(self, address: str, workers: int, silence: float, wait: float) -> None:
        self.workers = workers
        self._address = address
        self._silence = silence
        self._wait = wait

    def connect(self) -> Client:
        from fedzmq.client.client import connect  # brings torch

        return connect(self._address, silence=self._silence, timeout=self._wait)


class Started(Site):
    """A broker and workers that are processes of this machine."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.workers = len(cluster.workers)
        self._cluster = cluster

    def start(self) -> None:
        self._cluster.start()

    def connect(self) -> Client:
        return self._cluster.connect()

    def check(self) -> None:
        # Nobody starts its broker again, or all of its workers: what waits for them would wait for ever.
        self._cluster.check(BROKER)
        self._cluster.check_workers()

    def ended(self) -> list[str]:
        return self._cluster.ended()

    def keep_in(self, folder: Path) -> None:
        self._cluster.keep_in(folder)

    def stop(self) -> None:
        self._cluster.stop()

    def close(self) -> None:
        self._cluster.close()


class Inside(Site):
    """Workers inside this process, each with data of its own. They have no thread: whoever waits for them runs them."""

    def __init__(self, data: Mapping[str, Given], name: str) -> None:
        from fedzmq.data.load import examples_of  # brings torch, which is here already where there is data

        if not data:
            raise UsageError("a federation needs at least one worker")
        self.workers = len(data)
        self._data = {worker: examples_of(name, each) for worker, each in data.items()}
        self.example = next(iter(self._data.values()))
        self._address = f"memory://{uuid.uuid4().hex}"
        self._workers: list[Worker] = []
        self._kept: list[KeptFiles] = []

    def start(self) -> None:
        from fedzmq.transports.memory import MemoryConnection
        from fedzmq.worker.worker import Worker

        for name, data in self._data.items():
            connection = MemoryConnection(self._address, name)
            worker = Worker(connection, data=[data], silence=math.inf, direct=False)
            self._workers.append(worker)
            connection.serve(lambda worker=worker: worker.step(0.0))  # type: ignore[misc]
            worker.step(0.0)  # its first sign of life

    def connect(self) -> Client:
        from fedzmq.client.client import Client
        from fedzmq.transports.memory import MemoryConnection

        connection = MemoryConnection(self._address, "client")
        return Client(connection, silence=math.inf, tended=False, direct=False)

    def keep_in(self, folder: Path) -> None:
        from fedzmq.worker.training.kept_files import KeptFiles

        self._let_go()
        for name, worker in zip(self._data, self._workers, strict=True):
            self._kept.append(KeptFiles(folder / name))
            worker.keep_in(self._kept[-1])

    def close(self) -> None:
        while self._workers:
            self._workers.pop().close()
        self._let_go()

    def _let_go(self) -> None:
        while self._kept:
            self._kept.pop().close()
