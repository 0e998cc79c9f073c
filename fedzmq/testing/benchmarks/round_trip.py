"""`get` of a small tensor, against the least that a message there and back costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.testing.benchmarks.outcome import THROUGH_THE_BROKER, Bound, Outcome, beside, microseconds
from fedzmq.testing.benchmarks.site import Site

NEAR_THE_FLOOR = Bound(1.3)


def measure(site: Site) -> Iterator[Outcome]:
    yield _at(site, site.worker, "get of a small tensor", NEAR_THE_FLOOR)
    if site.is_ours:
        with site.far_worker() as worker:
            yield _at(site, worker, THROUGH_THE_BROKER)


def _at(site: Site, worker: WorkerHandle, what: str, bound: Bound | None = None) -> Outcome:
    count = site.effort.round_trips
    local: Any = torch.randn(10)
    x = local.send(worker)
    stream = worker.stream
    peer = site.peer("raw_echo")

    def ours() -> float:
        ids = [x._ref.id]  # `get` gives the pointer up, and this asks again and again
        start = time.perf_counter()
        for _ in range(count):
            stream.fetch(ids)
        return (time.perf_counter() - start) / count

    turns = site.alternate(ours, None if peer is None else lambda: peer.ask("round_trips", count))
    return beside("get", what, "us", turns.to(microseconds), "raw pyzmq, two hops", bound)
