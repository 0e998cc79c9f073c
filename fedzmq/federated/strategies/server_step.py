"""Strategies that take the way from the model to the workers' mean for a gradient, and step along it."""

from __future__ import annotations

from abc import abstractmethod

import torch

from fedzmq.federated.strategies.strategy import Opening, Strategy
from fedzmq.federated.updates.precision import wide


class ServerStep(Strategy):
    """Steps what is trained; all else, such as running statistics, becomes the mean."""

    _trained: frozenset[str] = frozenset()

    def begin(self, opening: Opening) -> None:
        self._trained = frozenset(opening.trained)

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        way = mean.to(wide(mean.dtype)) - old
        if way.is_complex():  # two numbers, as torch's optimizers have it: a square would turn it
            return old + torch.view_as_complex(self.move(name, torch.view_as_real(way)))
        return old + self.move(name, way)

    @abstractmethod
    def move(self, name: str, way: torch.Tensor) -> torch.Tensor:
        """What is added to a parameter, where `way` leads from it to the mean. In float64."""

    def remembered(self, what: str, name: str, like: torch.Tensor, value: float = 0.0) -> torch.Tensor:
        """A tensor of the memory to be changed in place, which begins with that value everywhere."""
        key = f"{what}/{name}"
        if key not in self.memory:
            self.memory[key] = torch.full_like(like, value)
        return self.memory[key]
