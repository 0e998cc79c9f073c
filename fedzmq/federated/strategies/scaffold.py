"""Control variates, which correct the drift of workers with unlike data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.local_steps import needs_a_rate, needs_sums_of_gradients
from fedzmq.federated.strategies.numbers import above
from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.updates.acceptance import needs_a_way
from fedzmq.federated.updates.aggregator import Aggregator
from fedzmq.federated.updates.collector import Collector
from fedzmq.worker.training.train import CONTROL_LOST

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


CONTROL = "control/"  # before the name of a parameter
POPULATION = "population"


@dataclass(eq=False)
class Scaffold(Strategy):
    """A worker adds (control - its own control) to each gradient, and keeps its own control for itself.

    model = model + lr * (mean - model), where the mean does not weigh; control = control + the sum over the answers of
    (new own control - old one) / number of workers. Karimireddy et al. 2020, SCAFFOLD: Stochastic Controlled Averaging
    for Federated Learning, algorithm 1.

    option: how a worker comes to its new control. 2, as in the paper's experiments, gives a difference from the old one
    of (model - its model) / way - control, which needs nothing that the answer does not tell: nothing travels back but
    the model. The way is steps * lr, as in the paper, where no schedule and no momentum make another one of it: see
    `fedzmq.worker.training.way`. A control is then the mean of a worker's gradients by what they weigh, that of its
    weight decay among them, and only SGD weighs them. 1 is the gradient at the model that came over all of the worker's
    data, in batches: one pass more, and the difference travels back beside the model, whatever optimizer follows the
    gradients. The control of all is the mean of the workers' own: of one that is away for some rounds, and of one that
    comes later, with zero, too, so that the number of workers is the greatest that there ever were at a time. Where one
    of those is lost, as a worker was started anew, it could never be that again, and all of them begin anew with zero.
    """

    lr: float = 1.0
    option: int = 2

    def __post_init__(self) -> None:
        above("lr", self.lr, 0)
        if self.option not in (1, 2):
            raise UsageError(f"option is {self.option}, and SCAFFOLD has the options 1 and 2")
        self._places: dict[str, int] = {}
        self._keys: list[str] = []
        self._control: list[torch.Tensor] = []
        self._sums: Aggregator

    def check(self, job: TrainingJob) -> None:
        if self.option == 2:
            needs_sums_of_gradients("SCAFFOLD by its option 2", job, "; 'option' 1 goes with any optimizer")
        needs_a_rate("SCAFFOLD", job)

    def begin(self, opening: Opening) -> None:
        self.forgets = False
        self._keys = [CONTROL + name for name in opening.trained]
        before = int(self.memory.get(POPULATION, torch.tensor(opening.population)))
        now = max(before, opening.population)
        self.memory[POPULATION] = torch.tensor(now)
        for key, name in zip(self._keys, opening.trained, strict=True):
            if key not in self.memory:
                zeros = torch.zeros_like(opening.state[name], memory_format=torch.contiguous_format)
                self.memory[key] = zeros
            elif now > before:  # a mean of more, of whom the new ones have zero
                self.memory[key] = self.memory[key] * (before / now)
        self._control = [self.memory[key] for key in self._keys]
        self._places = {name: place for place, name in enumerate((*opening.state, *self.beside()))}

    def ask(self, worker: str) -> Instructions:
        return Instructions(control=self._control, gradient=self.option == 1)

    def beside(self) -> Mapping[str, torch.Tensor]:
        if self.option == 2:
            return {}
        return dict(zip(self._keys, self._control, strict=True))

    def accept(self, answer: Answer) -> None:
        needs_a_way(answer)
        self.forgets = self.forgets or CONTROL_LOST in answer.metrics

    def collect(self, answers: Sequence[Answer]) -> Collector:
        self._sums = _Sums(answers) if self.option == 2 else Aggregator(answers, lambda answer: 1.0)
        return self._sums

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        key = CONTROL + name
        if key not in self.memory:
            return mean
        control, sums = self.memory[key], self._sums
        if isinstance(sums, _Sums):
            grown = sums.gradients(self._places[name], old) - sums.weight * control
        else:
            grown = sums.combined(self._places[key]) * sums.weight
        if self.forgets:
            self.memory[key] = torch.zeros_like(control)
        else:
            self.memory[key] = (control + grown / int(self.memory[POPULATION])).to(control.dtype)
        return old + self.lr * (mean - old)


class _Sums(Aggregator):
    """The plain mean, and beside it the sum of what the gradients of every worker were in the mean over its steps."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(answers, lambda answer: 1.0)
        self._per_way = Aggregator(answers, lambda answer: 1.0 / answer.way)

    def open(self, state: Sequence[torch.Tensor]) -> None:
        super().open(state)
        self._per_way.open(state)

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        super().fold(worker, place, start, values)
        self._per_way.fold(worker, place, start, values)

    def close(self) -> None:
        super().close()
        self._per_way.close()

    def gradients(self, place: int, old: torch.Tensor) -> torch.Tensor:
        """The sum of (old - new) / way over the workers."""
        return (old - self._per_way.combined(place)) * self._per_way.weight
