"""A training task of a worker, and the same as a plain loop of torch."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fedzmq.data.batches import batches
from fedzmq.data.data import Data
from fedzmq.data.examples import Examples
from fedzmq.wire.messages import Train
from fedzmq.worker.cancellation import Cancelled
from fedzmq.worker.training.train import Outcome, train
from tests.recording.recorded import Made, Recorded

TASK = Train(
    1, "plan", "data", (), epochs=2, batch_size=4, optimizer="sgd", options={"lr": 0.1}, seed=5, report_every=60.0
)


def data_of(made: Made) -> Data:
    """The examples, a few times over, as those of a data set."""
    (features, *others), targets = [torch.cat([each] * 3) for each in made.inputs], torch.cat([made.targets] * 3)
    return Data("data", features, targets, None if targets.is_floating_point() else 3, tuple(others))


def trained(made: Made, **task: Any) -> Outcome:
    """What a worker answers that trains the module's state as it is now. Nothing is done to the module."""
    return run(Recorded(made), data_of(made), **task)


def run(
    recorded: Recorded,
    data: Examples,
    *,
    report: Callable[[int, int, int, float], None] = lambda *progress: None,
    look: Callable[[], None] = lambda: None,
    state: list[Tensor] | None = None,
    **task: Any,
) -> Outcome:
    state = state_that_came(recorded) if state is None else state
    return train(replace(TASK, **task), recorded.compiled, state, data, report=report, look=look)


def state_that_came(recorded: Recorded) -> list[Tensor]:
    """The module's state as it is now, in memory of the task's own."""
    return [each.detach().clone() for each in (*recorded.parameters, *recorded.buffers)]


def plainly_trained(
    made: Made,
    optimizer: Callable[[Any], Optimizer],
    data: Examples,
    *,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
    clip: Callable[[list[Tensor]], object] = lambda parameters: None,
    steps: int = 1 << 30,
    **task: Any,
) -> nn.Module:
    """A copy of the module, trained by a plain loop over the same batches, of `steps` at most."""
    wanted = replace(TASK, **task)
    module = copy.deepcopy(made.module)
    stepper = optimizer(module.parameters())
    scheduler = None if schedule is None else schedule(stepper)
    orders = [batches(len(data), wanted.batch_size, epoch, wanted.seed) for epoch in range(wanted.epochs)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(wanted.seed)
        for index in itertools.islice(itertools.chain.from_iterable(orders), steps):
            stepper.zero_grad()
            *inputs, targets = data.take(index)
            made.loss(module(*inputs), targets).backward()
            clip(list(module.parameters()))
            stepper.step()
            if scheduler is not None:
                scheduler.step()
    return module


def state_of(module: nn.Module) -> list[Tensor]:
    return [each.detach() for each in (*module.parameters(), *module.buffers())]


def take_back() -> None:
    """A look at a task that was cancelled."""
    raise Cancelled
