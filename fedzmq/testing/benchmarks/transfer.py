"""Large tensors there and back: how fast, and how much memory that takes beside the tensor itself."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import torch

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.session.session import WINDOW_BYTES
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside
from fedzmq.testing.benchmarks.site import Site

HALF_AS_MUCH_AGAIN = Bound(1.5, at_least=True)
ONE_WINDOW = Bound(WINDOW_BYTES / 2**20)
JUDGED = 64  # MiB
TOGETHER = 64  # MiB that one turn moves at least, so that small tensors are not timed alone
MEBIBYTE = 1 << 20


def measure(site: Site) -> Iterator[Outcome]:
    peer = site.peer("torch_rpc")
    for size in site.effort.sizes:
        local: Any = torch.ones(size << 18)
        count = max(1, TOGETHER // size) if site.effort.repeats > 1 else 1

        def ours(local: Any = local, count: int = count) -> float:
            return _there_and_back(local, site.worker, count)

        def theirs(size: int = size, count: int = count) -> float:
            assert peer is not None
            return peer.ask("transfers", size, count)

        took, other = site.alternate(ours, None if peer is None else theirs)
        yield beside(
            "transfer",
            f"send + get of {size} MiB",
            "MiB/s",
            2 * size / took,
            "torch.distributed.rpc",
            None if other is None else 2 * size / other,
            HALF_AS_MUCH_AGAIN if size == JUDGED else None,
        )
        yield from _memory(site, local, size)
        if size == JUDGED:
            yield _through_the_broker(site, local, size)


def _there_and_back(local: Any, worker: WorkerHandle, count: int = 1) -> float:
    """Seconds."""
    start = time.perf_counter()
    for _ in range(count):
        local.send(worker).get()
    return (time.perf_counter() - start) / count


def _through_the_broker(site: Site, local: Any, size: int) -> Outcome:
    """As between machines, which share no memory."""
    with site.connect(shared_memory=False) as client:
        worker = client.worker(site.worker.name)
        took, _ = site.alternate(lambda: _there_and_back(local, worker), None)
    return Outcome("transfer", f"  those {size} MiB through the broker", "MiB/s", 2 * size / took)


def _memory(site: Site, local: Any, size: int) -> Iterator[Outcome]:
    """What each process took at its peak, beyond the tensor that it was given or gave."""
    site.worker.stream.sync()
    gc.collect()
    before = {role: watched.resident for role, watched in site.watched.items()}
    for watched in site.watched.values():
        watched.begin()
    pointer = local.send(site.worker)
    back = pointer.get()
    extra: dict[str, float] = {}
    for role, watched in site.watched.items():
        peak, base = watched.peak, before[role]
        if peak is not None and base is not None:
            holds = 0 if role == "broker" else back.nbytes
            extra[f"{role} MiB"] = round(max(0, peak - base - holds) / MEBIBYTE, 1)
    if extra:
        worst = max(extra.values())
        yield Outcome(
            "transfer",
            f"  peak memory beyond those {size} MiB",
            "MiB",
            worst,
            bound=ONE_WINDOW,
            compared=worst,
            extra=extra,
        )
