"""Workers with a part of a problem each, trained together by a strategy, all in this process."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from fedzmq.data.data import Data
from fedzmq.federated.report import Answer, RoundReport
from fedzmq.federated.strategies import Opening, Strategy
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.updates.collector import Collector
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.training_plan import training_plan
from fedzmq.wire.messages import Train
from fedzmq.worker.training.memory import Kept
from fedzmq.worker.worker import Worker
from tests.federated.fake_worker import FakeWorker
from tests.recording.recorded import Made, Recorded
from tests.worker.hub import Meeting
from tests.worker.training.trained import run

JOB = TrainingJob("data", rounds=30, epochs=4, batch_size=4, options={"lr": 0.05}, seed=1)


@dataclass(frozen=True)
class Update:
    """A worker's new state, and what it says of how it came to it."""

    state: Sequence[Tensor]
    examples: int = 1
    steps: int = 0
    loss: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)
    way: float = 0.0

    def answer(self, worker: str = "bob") -> Answer:
        return Answer(worker, self.examples, self.loss, 0.0, self.steps, self.metrics, self.way)


class Federation:
    """The outcome of a training: the model, the reports, and what each worker kept for itself."""

    def __init__(
        self,
        strategy: Strategy,
        module: nn.Module,
        loss: Loss,
        parts: Mapping[str, Data],
        attacks: Mapping[str, Any] | None = None,
        **job: Any,
    ) -> None:
        attacks = attacks or {}
        sample = next(iter(parts.values()))
        self.model = copy.deepcopy(module)
        made = Made(module, sample.features, sample.targets, loss)
        self.said: list[str] = []
        with Meeting() as meeting:
            workers: dict[str, Worker] = {}
            for name, data in parts.items():
                if name in attacks:
                    meeting.opened(attacker(meeting, name, made, data, attacks[name]).endpoint)
                else:
                    workers[name] = meeting.worker(name, [data])
            wanted = replace(JOB, workers=len(parts), **job)
            plan = training_plan(module, loss, sample.features, sample.targets)
            trainer = Trainer(
                meeting.client("coordinator"), self.model, plan, wanted, strategy=strategy, say=self.said.append
            )
            self.reports: list[RoundReport] = list(trainer.rounds())
            self.kept = {name: kept_by(worker) for name, worker in workers.items()}

    @property
    def weight(self) -> float:
        """The only parameter of a model that has one."""
        (parameter,) = self.model.parameters()
        return float(parameter.detach())


def attacker(meeting: Meeting, name: str, made: Made, data: Data, attack: Any) -> FakeWorker:
    """Trains as it should, and then sends what `attack(state)` makes of it, with a claim of many examples."""
    recorded = Recorded(made)

    def trains(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        answer = run(
            recorded,
            data,
            state=[each.clone() for each in state],
            seed=task.seed,
            epochs=task.epochs,
            batch_size=task.batch_size,
            options=task.options,
        )
        worker.answer_state(task, attack(state, answer.state), examples=100)

    return FakeWorker(meeting.address, name, trains)


def kept_by(worker: Worker) -> Kept:
    """What a worker keeps of the one run that it took part in."""
    runs = list(worker._commons.memory._runs.values())
    return runs[0][max(runs[0])] if runs else Kept()


def parabola(curvature: float, bottom: float, rows: int = 4) -> Data:
    """Data on which the squared error of `one_weight` is curvature * (weight - bottom)^2."""
    features = torch.full((rows, 1), curvature**0.5)
    return Data("data", features, features * bottom, None)


def one_weight(value: float = 0.0) -> nn.Module:
    """y = weight * x."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def after(
    strategy: Strategy,
    old: Mapping[str, Tensor],
    updates: Mapping[str, Update],
    *,
    number: int = 1,
    population: int | None = None,
    trained: Sequence[str] | None = None,
    size: int = 1 << 20,
) -> dict[str, Tensor]:
    """What a strategy makes of these updates, in pieces of `size` elements. All is trained by default."""
    names = tuple(sorted(updates))
    strategy.begin(Opening(number, names, population or len(names), old, tuple(trained or old)))
    answers = [updates[name].answer(name) for name in names]
    for answer in answers:
        strategy.accept(answer)
    collector = strategy.collect(answers)
    try:
        collector.open(list(old.values()))
        fold(collector, {name: updates[name].state for name in names}, size)
        return {
            name: strategy.step(name, tensor, collector.combined(place))
            for place, (name, tensor) in enumerate(old.items())
        }
    finally:
        collector.close()


def fold(collector: Collector, states: Mapping[str, Sequence[Tensor]], size: int = 1 << 20) -> None:
    """Have a collector take in what workers answer, as a round would have it."""
    for place, whole in enumerate(next(iter(states.values()))):
        for start in range(0, whole.numel(), size):
            for worker in sorted(states):
                values = states[worker][place].flatten()[start : start + size]
                collector.fold(worker, place, start, values.clone())


def randoms(count: int, *shapes: tuple[int, ...], seed: int = 0) -> list[list[Tensor]]:
    """So many states of tensors of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(count)]
