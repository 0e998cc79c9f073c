"""The same training as a plan on the worker, against the loop here: all it costs beside the loop is the way there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch.nn import functional

from fedzmq.client.tasks import TrainingTask
from fedzmq.errors import FedzmqError
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.buffers import export_all
from fedzmq.testing.benchmarks.mlp import BATCH, Training, model
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside, microseconds
from fedzmq.testing.benchmarks.rows import FEATURES
from fedzmq.testing.benchmarks.site import ROWS, Site
from fedzmq.wire.messages import DatasetInfo, Trained

FASTER = Bound(0.75)


def measure(site: Site) -> Iterator[Outcome]:
    data = next((each for each in site.worker.data() if _fits(each)), None)
    what = "MLP, a plan on the worker"
    if data is None:
        why = f"the worker has no data set of {FEATURES} features and classes: start one with --data {ROWS}"
        yield Outcome("plan", what, "us/step", None, why=why)
        return
    network = model()
    plan = training_plan(network, functional.cross_entropy, torch.zeros(1, FEATURES), torch.zeros(1, dtype=torch.int64))
    steps_of_epoch = -(-data.rows // BATCH)
    epochs = max(1, site.effort.steps // steps_of_epoch)
    task = TrainingTask(data.name, epochs, BATCH, "sgd", {"lr": 0.01}, seed=0)
    here = Training()

    def ours() -> float:
        start = time.perf_counter()
        pending = site.worker.train(plan, export_all(network.parameters()), task)
        site.client.wait_until(lambda: pending.done)
        reply, _ = pending.result()
        if not isinstance(reply, Trained):
            raise FedzmqError(f"worker {site.worker.name!r} did not train: {reply}")
        return (time.perf_counter() - start) / (epochs * steps_of_epoch)

    turns = site.alternate(ours, (lambda: here.time(site.effort.steps)) if site.is_ours else None)
    yield beside("plan", what, "us/step", turns.to(microseconds), "plain torch", FASTER)


def _fits(data: DatasetInfo) -> bool:
    return data.shapes[0] == (FEATURES,) and data.classes is not None and data.rows > 0
