"""A strategy: whom to ask in a round, what to ask for, and what becomes of the answers.

As it stands it is federated averaging. Another one overrides what it does differently, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.seeds import derive
from fedzmq.federated.updates.aggregator import Aggregator
from fedzmq.federated.updates.collector import Collector

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


@dataclass(frozen=True, slots=True)
class Instructions:
    """What a worker does beside plain training: see `fedzmq.wire.messages.Local`, and of `control` its Train."""

    proximal: float = 0.0
    ditto: float | None = None
    loss_before: bool = False
    control: Sequence[torch.Tensor] = ()
    gradient: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A round that begins: its number, who is asked, how many workers are here, and the model that they all get.

    state: what is shared, by name. trained: the names of that which training changes.
    """

    number: int
    workers: tuple[str, ...]
    population: int
    state: Mapping[str, torch.Tensor]
    trained: tuple[str, ...]


class Strategy:
    """Federated averaging (McMahan et al. 2017, algorithm 1): the mean of the states, weighted by examples.

    A round calls `choose`, `begin`, `ask` for each worker, `accept` for each answer, `collect` (which asks `weigh` for
    each answer), and `step` for each tensor of the model. Answers tell of a training all but what became of the model:
    that is pulled, piece by piece, by what `collect` gives. Where it cannot be had of a worker, `collect` is called
    again, without that answer. What a strategy remembers from round to round is in `memory`, and nowhere else, so
    that a training can be taken up again.
    """

    least: int = 1
    """Fewer updates than this make no round."""

    attackers: int = 0
    """So many of the updates may be refused, and the others still make a round: `least` allows for them."""

    forgets: bool = False
    """After this round, workers are to begin anew with what they keep for themselves."""

    @cached_property
    def memory(self) -> dict[str, torch.Tensor]:
        """Tensors by a name of the strategy's own, such as "momentum/0.weight"."""
        return {}

    def check(self, job: TrainingJob) -> None:
        """Raises UsageError for a job that it cannot be used with."""

    def personal(self, model: torch.nn.Module) -> Sequence[str]:
        """The names of parameters and buffers that stay on each worker; none is."""
        return ()

    def choose(self, present: Sequence[str], count: int, seed: int) -> Sequence[str]:
        """Whom to ask: `count` of the workers that are here. By lot; the seed is another one in every round."""
        return sorted(sorted(present, key=lambda name: derive(seed, name))[:count])

    def begin(self, opening: Opening) -> None:
        """A round begins; it may be the same one again, where it lost its workers."""

    def ask(self, worker: str) -> Instructions:
        """What this worker is to do beside plain training."""
        return Instructions()

    def beside(self) -> Mapping[str, torch.Tensor]:
        """What comes back after the state, by a name of its own and in the form of these tensors; nothing does.

        `step` is not asked about it: whoever gives it takes it out of what `collect` gave.
        """
        return {}

    def accept(self, answer: Answer) -> None:
        """Raises UpdateRefused for an answer that cannot be used; it is of one example at the least."""

    def weigh(self, answer: Answer) -> float:
        """How much an update counts in the mean."""
        return answer.examples

    def collect(self, answers: Sequence[Answer]) -> Collector:
        """Where the updates of these come together, which are in the order of the workers' names."""
        return Aggregator(answers, self.weigh)

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """The new value of a tensor of the model, from the old one and what the updates make together.

        The mean is in the model's precision, float32 at least, and in float64 for integers. What is returned is brought
        to that of the model; `old` must not be changed.
        """
        return mean
