"""Updates that are folded into the total, piece by piece, against torch adding up the same bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.updates.aggregator import Aggregator
from fedzmq.federated.updates.due import MOST_PIECE
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside
from fedzmq.testing.benchmarks.site import Site

WORKERS = 4
HALF = Bound(0.5, at_least=True)


def measure(site: Site) -> Iterator[Outcome]:
    elements = site.effort.model << 18
    updates = {f"worker-{number}": torch.randn(elements) for number in range(WORKERS)}
    piece = MOST_PIECE // 4  # elements
    answers = [Answer(worker, 10, 0.5, 0.1) for worker in updates]
    like, total = torch.zeros(elements), torch.zeros(elements)

    def ours() -> float:
        aggregator = Aggregator(answers)
        aggregator.open([like])
        start = time.perf_counter()
        for begin in range(0, elements, piece):
            for worker, update in updates.items():
                aggregator.fold(worker, 0, begin, update[begin : begin + piece])
        return time.perf_counter() - start

    def plain() -> float:
        start = time.perf_counter()
        for update in updates.values():
            total.add_(update)
        return time.perf_counter() - start

    moved = WORKERS * site.effort.model
    rates = site.alternate(ours, plain).to(lambda seconds: moved / seconds)
    what = f"fold of {WORKERS} updates of {site.effort.model} MiB"
    yield beside("fold", what, "MiB/s", rates, "torch add_, in float32", HALF)
