"""What a coordinator's memory comes to at its peak, beyond what it takes before the first round: by number of workers.

As a program it is that coordinator: `coordinator ADDRESS WORKERS BYTES ROUNDS` prints the bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import torch

from fedzmq.client.client import connect
from fedzmq.cluster.local_cluster import START, LocalCluster
from fedzmq.testing.benchmarks.crew import Crew
from fedzmq.testing.benchmarks.federation import rounds
from fedzmq.testing.benchmarks.memory import Watched
from fedzmq.testing.benchmarks.outcome import Bound, Outcome
from fedzmq.testing.benchmarks.site import Site

FLAT = Bound(2.5)  # models
ROUNDS = 3


def measure(site: Site) -> Iterator[Outcome]:
    if not site.is_ours:
        return
    size = site.effort.model << 20
    for workers in site.effort.crews:
        with LocalCluster([], listen="tcp://127.0.0.1:0") as cluster, Crew(cluster.address, workers):
            taken = _taken(cluster.address, workers, size)
        if taken is None:
            return
        models = taken / size
        what = f"peak of a coordinator, {workers} workers, {site.effort.model} MiB"
        yield Outcome("coordinator", what, "models", models, bound=FLAT, compared=models)


def _taken(address: str, workers: int, size: int) -> int | None:
    """Bytes; None where the system does not tell."""
    program = [sys.executable, "-m", "fedzmq.testing.benchmarks.coordinator"]
    done = subprocess.run(
        [*program, address, str(workers), str(size), str(ROUNDS)], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout) if done.stdout.strip() else None


def _main(address: str, workers: int, size: int, count: int) -> None:
    torch.set_num_threads(1)
    with connect(address) as client:
        client.wait_for_workers(workers, timeout=START)
        begun = rounds(client, workers, size)
        me = Watched(os.getpid())
        before = me.resident
        me.begin()
        for _ in islice(begun, count):
            pass
        peak = me.peak
        if peak is not None and before is not None:
            print(peak - before)


if __name__ == "__main__":
    _main(sys.argv[1], *map(int, sys.argv[2:]))
