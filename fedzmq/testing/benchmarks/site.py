"""Where it is measured: a client in this process, and a broker, a worker and the peers, each in one of its own.

Or at a broker that is there already: then there is no peer, and nobody can look into the other processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import torch

from fedzmq.client.client import Client, connect
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import BROKER, LocalCluster
from fedzmq.errors import ClusterError, NotEnoughWorkers
from fedzmq.testing.benchmarks.effort import Effort
from fedzmq.testing.benchmarks.memory import Watched
from fedzmq.testing.benchmarks.outcome import Turns
from fedzmq.testing.benchmarks.peer import Peer

WORKER = "bench"
ROWS = "fedzmq.testing.benchmarks.rows:rows"
_PEERS = "fedzmq.testing.benchmarks."


class Site:
    """`with Site(effort) as site:`; `address` names a broker that is there, and `worker` who computes at it."""

    def __init__(self, effort: Effort, address: str | None = None, worker: str | None = None) -> None:
        self.effort = effort
        self.is_ours = address is None
        self._address = address
        self._name = worker
        self._open = ExitStack()
        self._peers: dict[str, Peer] = {}
        self.watched: dict[str, Watched] = {"client": Watched(os.getpid())}
        self.client: Client
        self.worker: WorkerHandle

    def peer(self, name: str) -> Peer | None:
        """The peer, started when it is first asked for; None where only fedzmq is measured."""
        if not self.is_ours:
            return None
        if name not in self._peers:
            self._peers[name] = self._open.enter_context(Peer(_PEERS + name))
        return self._peers[name]

    def alternate(self, ours: Callable[[], float], theirs: Callable[[], float] | None) -> Turns:
        """What both took, who take turns, without the first, which does not count.

        Ours alone where the peer fails, in whichever turn.
        """
        took: list[float] = []
        other: list[float] = []
        why = ""
        for _ in range(self.effort.repeats + 1):
            took.append(ours())
            if theirs is None:
                continue
            try:
                other.append(theirs())
            except ClusterError as error:
                theirs, why = None, str(error)
                other.clear()
        return Turns(tuple(took[1:]), tuple(other[1:]), why)

    def __enter__(self) -> Site:
        try:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)  # as the worker has: the two sides share the machine
            self._open.callback(torch.set_num_threads, threads)
            self._join() if self._address else self._found()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @contextmanager
    def far_worker(self) -> Iterator[WorkerHandle]:
        """The same worker to a client for whom everything goes through the broker, as from another machine."""
        with connect(self._address or self.client.address, direct=False) as client:
            yield client.worker(self.worker.name)

    def _found(self) -> None:
        cluster = self._open.enter_context(LocalCluster([WORKER], data=ROWS, listen="tcp://127.0.0.1:0"))
        self.client = self._open.enter_context(cluster.connect())
        self.worker = self.client.worker(WORKER)
        for role, name in (("broker", BROKER), ("worker", WORKER)):
            self.watched[role] = Watched(cluster.processes[name].pid)

    def _join(self) -> None:
        assert self._address is not None
        self.client = self._open.enter_context(connect(self._address))
        if self._name is None:
            here = self.client.wait_for_workers(1)
            if not here:
                raise NotEnoughWorkers(1, (), self._address)
            self._name = here[0].name
        self.worker = self.client.worker(self._name)
