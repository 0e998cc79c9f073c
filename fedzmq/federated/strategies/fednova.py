"""Workers that took unlike numbers of steps, made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.strategy import Opening, Strategy
from fedzmq.federated.updates.acceptance import needs_steps
from fedzmq.federated.updates.collector import Collector

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


@dataclass(eq=False)
class FedNova(Strategy):
    """model = model - (the mean of a) * (the mean of (model - worker's model) / a), where a counts a worker's steps.

    Both means are weighted by examples. With momentum a step counts for more, the more steps follow it: a is the sum of
    what every gradient weighs in the end. Running statistics are averaged by examples / a. Wang et al. 2020, Tackling
    the Objective Inconsistency Problem in Heterogeneous Federated Optimization, equations 6 to 8 and section 4.
    """

    def __post_init__(self) -> None:
        self._momentum = 0.0
        self._examples = self._counted = self._ratio = 0.0

    def check(self, job: TrainingJob) -> None:
        for name in ("nesterov", "dampening"):
            if job.options.get(name):
                raise UsageError(f"FedNova does not know what {name!r} does to the steps; leave it out")
        if job.schedule != "constant" or job.schedule_options:
            raise UsageError("FedNova counts equal steps: leave the schedule over them out; one over rounds is fine")
        self._momentum = float(job.options.get("momentum", 0))

    def begin(self, opening: Opening) -> None:
        self._trained = frozenset(opening.trained)

    def accept(self, answer: Answer) -> None:
        needs_steps(answer)

    def weigh(self, answer: Answer) -> float:
        return answer.examples / self._effective(answer.steps)

    def collect(self, answers: Sequence[Answer]) -> Collector:
        self._examples = sum(answer.examples for answer in answers)
        self._counted = sum(answer.examples * self._effective(answer.steps) for answer in answers)
        self._ratio = sum(self.weigh(answer) for answer in answers)
        return super().collect(answers)

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        return old + (self._counted / self._examples) * (self._ratio / self._examples) * (mean - old)

    def _effective(self, steps: int) -> float:
        """The sum of the geometric series that momentum makes of each gradient, over all of them."""
        rest = 1 - self._momentum
        return (steps - self._momentum * (1 - self._momentum**steps) / rest) / rest
