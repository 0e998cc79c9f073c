"""Small operations on pointers, none of which is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.testing.benchmarks.outcome import THROUGH_THE_BROKER, Bound, Outcome, beside
from fedzmq.testing.benchmarks.site import Site

FIVE_TIMES = Bound(5.0, at_least=True)


def measure(site: Site) -> Iterator[Outcome]:
    yield _at(site, site.worker, "small pointer operations, pipelined", FIVE_TIMES)
    if site.is_ours:
        with site.far_worker() as worker:
            yield _at(site, worker, THROUGH_THE_BROKER)


def _at(site: Site, worker: WorkerHandle, what: str, bound: Bound | None = None) -> Outcome:
    count, stream = site.effort.operations, worker.stream
    local: Any = torch.randn(10)
    x = local.send(worker)
    peer = site.peer("torch_rpc")

    def ours() -> float:
        start = time.perf_counter()
        for _ in range(count):
            x + x
        stream.sync()
        return (time.perf_counter() - start) / count

    turns = site.alternate(ours, None if peer is None else lambda: peer.ask("operations", count))
    rates = turns.to(lambda seconds: 1 / seconds)
    return beside("operations", what, "operations/s", rates, "torch.distributed.rpc", bound)
