"""One model on its way to a crowd of workers: what of it leaves the coordinator, and when everybody has it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch

from fedzmq.client.client import Client
from fedzmq.client.tasks import TrainingTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import START, LocalCluster
from fedzmq.federated.edition import publish
from fedzmq.tensors.buffers import export_all
from fedzmq.testing.benchmarks.crew import DATA, Crew
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside, milliseconds
from fedzmq.testing.benchmarks.site import Site
from fedzmq.testing.benchmarks.sockets import sent

SIZES = (1, 16)  # MiB
ONCE = Bound(1.1)  # models
NO_SLOWER = Bound(1.0)
NO_PLAN = b"no plan"  # what is asked for by it waits for the model, and fails at once


def measure(site: Site) -> Iterator[Outcome]:
    workers = site.effort.crowd
    with (
        LocalCluster([], listen="tcp://127.0.0.1:0") as cluster,
        Crew(cluster.address, workers),
        cluster.connect(direct=False) as client,  # as if they were on other machines
    ):
        handles = [client.worker(each.name) for each in client.wait_for_workers(workers, timeout=START)]
        for size in SIZES:
            yield from _measured(site, client, handles, size)


def _measured(site: Site, client: Client, handles: Sequence[WorkerHandle], size: int) -> Iterator[Outcome]:
    state = [torch.rand(size << 16) for _ in range(4)]
    models: list[float] = []
    kernel: list[float] = []

    def at_once() -> float:
        state[0][0] += 1  # another model each time
        before, counted = client.endpoint.bytes_sent, sent()
        began = time.perf_counter()
        edition = publish(client, state, handles)
        if any(edition.lacks(handle) for handle in handles):
            raise AssertionError("somebody was left behind")
        _await(client, handles, (), edition.name)
        took = time.perf_counter() - began
        models.append((client.endpoint.bytes_sent - before) / (size << 20))
        after = sent()
        if counted is not None and after is not None:
            kernel.append((after - counted) / (size << 20))
        return took

    def to_each() -> float:
        began = time.perf_counter()
        _await(client, handles, state, "")
        return time.perf_counter() - began

    turns = site.alternate(at_once, to_each).to(milliseconds)
    what = f"a model of {size} MiB to {len(handles)} workers"
    extra = {"models by the system's count": round(max(kernel[1:] or kernel), 3)} if kernel else {}
    left = max(models[1:] or models)  # before the first, they are told to listen
    yield Outcome("broadcast", f"{what}: leaves", "models", left, bound=ONCE, compared=left, extra=extra)
    yield beside("broadcast", f"{what}: is there", "ms", turns, "sent to each", NO_SLOWER)


def _await(client: Client, handles: Sequence[WorkerHandle], state: Sequence[torch.Tensor], name: str) -> None:
    task = TrainingTask(DATA, 1, 1, "sgd", {}, 0, model=name)
    asked = [handle.train(NO_PLAN, export_all(state), task) for handle in handles]
    client.wait_until(lambda: all(pending.done for pending in asked))
