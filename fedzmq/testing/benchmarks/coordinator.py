"""What a coordinator's memory comes to at its peak, beyond what it takes before the first round: by number of workers.

As a program it is that coordinator.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import torch

from fedzmq.client.client import connect
from fedzmq.cluster.local_cluster import START, LocalCluster
from fedzmq.testing.benchmarks.crew import Crew
from fedzmq.testing.benchmarks.federation import rounds
from fedzmq.testing.benchmarks.memory import UNTOLD, Watched
from fedzmq.testing.benchmarks.outcome import Bound, Outcome
from fedzmq.testing.benchmarks.peer import Peer, answer, lead
from fedzmq.testing.benchmarks.site import Site

FLAT = Bound(2.5)  # models
ROUNDS = 3
PATIENCE = 600.0  # seconds: gigabytes go through the broker


def measure(site: Site) -> Iterator[Outcome]:
    size = site.effort.model << 20
    tells = Watched(os.getpid()).begin()
    for workers in site.effort.crews:
        models = _peak(workers, size) / size if tells else None
        what, why = f"peak of a coordinator, {workers} workers, {site.effort.model} MiB", "" if tells else UNTOLD
        yield Outcome("coordinator", what, "models", models, bound=FLAT, compared=models, why=why)


def _peak(workers: int, size: int) -> float:
    """Bytes."""
    with (
        LocalCluster([], listen="tcp://127.0.0.1:0") as cluster,
        Crew(cluster.address, workers),
        Peer("fedzmq.testing.benchmarks.coordinator", PATIENCE) as coordinator,
    ):
        return coordinator.ask("peak", cluster.address, workers, size)


def _taken(address: str, workers: int, size: int) -> int:
    torch.set_num_threads(1)
    with connect(address) as client:
        client.wait_for_workers(workers, timeout=START)
        begun = rounds(client, workers, size)
        me = Watched(os.getpid())
        before = me.resident
        me.begin()
        for _ in islice(begun, ROUNDS):
            pass
        peak = me.peak
        assert before is not None
        assert peak is not None
        return peak - before


if __name__ == "__main__":
    lead()
    answer({"peak": _taken})
