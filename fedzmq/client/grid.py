"""Several workers that are searched together."""

from __future__ import annotations

from collections.abc import Iterable

from fedzmq.client.findings import Findings
from fedzmq.client.worker_handle import WorkerHandle


class PrivateGridNetwork:
    """`grid.search("#boston", "#data")` gives pointers by the workers' names. `Client.search` asks all workers."""

    def __init__(self, *workers: WorkerHandle) -> None:
        self.workers = {worker.name: worker for worker in workers}

    def search(self, *terms: str | Iterable[str]) -> Findings:
        """What `WorkerHandle.search` finds on each of them."""
        return Findings([(name, worker.search(*terms)) for name, worker in self.workers.items()], terms)

    def __repr__(self) -> str:
        return f"PrivateGridNetwork({', '.join(self.workers) or 'no worker'})"
