"""Very many training steps: nothing may grow by them, neither a store nor the memory of any process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import torch

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.testing.benchmarks.memory import UNTOLD
from fedzmq.testing.benchmarks.mlp import Training
from fedzmq.testing.benchmarks.outcome import Bound, Outcome
from fedzmq.testing.benchmarks.site import Site

FLAT_STORE = Bound(0.0)
FLAT_MEMORY = Bound(4.0)  # MiB: allocators of three processes settle for a while
SLICES = 10  # into which the steps are cut; the first is for what fills up once


def measure(site: Site) -> Iterator[Outcome]:
    yield _memory(site)
    yield _store(site)


def _memory(site: Site) -> Outcome:
    training = Training(site.worker)
    steps = max(1, site.effort.endurance // SLICES)
    samples: list[dict[str, int]] = []
    for _ in range(SLICES):
        training.time(steps)
        gc.collect()
        resident = {role: watched.resident for role, watched in site.watched.items()}
        samples.append({role: size for role, size in resident.items() if size is not None})
    first, last = samples[0], samples[-1]
    extra = {f"{role} MiB": round((last[role] - first[role]) / 2**20, 2) for role in first}
    worst = max(extra.values(), default=None)
    what, why = f"growth of memory over {steps * SLICES:,} steps", "" if extra else UNTOLD
    return Outcome("endurance", what, "MiB", worst, bound=FLAT_MEMORY, compared=worst, extra=extra, why=why)


def _store(site: Site) -> Outcome:
    """At a virtual worker, whose store can be looked into."""
    hook = TorchHook(torch)
    try:
        bob = VirtualWorker(hook, "bob")
        training = Training(bob)
        steps = max(1, site.effort.endurance // SLICES)
        counts = []
        for _ in range(2):
            training.time(steps)
            bob.stream.sync()
            counts.append(bob.stored)
        grown = counts[1] - counts[0]
        what = f"growth of a worker's store over {steps:,} steps"
        return Outcome(
            "endurance", what, "tensors", grown, bound=FLAT_STORE, compared=grown, extra={"tensors": counts[1]}
        )
    finally:
        hook.close()
