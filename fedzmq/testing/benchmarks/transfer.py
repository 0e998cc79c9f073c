"""Large tensors there and back: how fast, and how much memory that takes beside the tensor itself."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import torch

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.session.session import WINDOW_BYTES
from fedzmq.testing.benchmarks.memory import UNTOLD
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside
from fedzmq.testing.benchmarks.site import Site

HALF_AS_MUCH_AGAIN = Bound(1.5, at_least=True)
ONE_WINDOW = Bound(WINDOW_BYTES / 2**20)
JUDGED = 64  # MiB
MEBIBYTE = 1 << 20


def measure(site: Site) -> Iterator[Outcome]:
    for size in site.effort.sizes:
        local: Any = torch.ones(size << 18)
        bound = HALF_AS_MUCH_AGAIN if size == JUDGED else None
        yield _beside(site, f"send + get of {size} MiB", local, size, site.worker, bound)
        yield _memory(site, local, size)
        if size == JUDGED:
            with site.far_worker() as worker:
                yield _beside(site, f"  those {size} MiB through the broker", local, size, worker, None)


def _beside(site: Site, what: str, local: Any, size: int, worker: WorkerHandle, bound: Bound | None) -> Outcome:
    count = max(1, site.effort.together // size)
    peer = site.peer("torch_rpc")

    def ours() -> float:
        start = time.perf_counter()
        for _ in range(count):
            local.send(worker).get()
        return (time.perf_counter() - start) / count

    turns = site.alternate(ours, None if peer is None else lambda: peer.ask("transfers", size, count))
    return beside(
        "transfer", what, "MiB/s", turns.to(lambda seconds: 2 * size / seconds), "torch.distributed.rpc", bound
    )


def _memory(site: Site, local: Any, size: int) -> Outcome:
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
    worst = max(extra.values(), default=None)
    what, why = f"  peak memory beyond those {size} MiB", "" if extra else UNTOLD
    return Outcome("transfer", what, "MiB", worst, bound=ONE_WINDOW, compared=worst, extra=extra, why=why)
