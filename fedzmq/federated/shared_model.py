"""The model at the coordinator: which of its tensors the workers share, and the step from answers to new values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.assignment import Form
from fedzmq.federated.precision import narrowed
from fedzmq.federated.strategies.strategy import Collector, Opening, Strategy


class SharedModel:
    """`state` is the model's own parameters and buffers, in the plan's order: whoever holds the model sees each step.

    Raises UsageError where a strategy keeps something on the workers that the model does not have.
    """

    def __init__(self, model: torch.nn.Module, plan: bytes, strategy: Strategy) -> None:
        parameters = dict(model.named_parameters())
        named = {**parameters, **dict(model.named_buffers())}
        self.personal = tuple(strategy.personal(model))
        for name in self.personal:
            if name not in named:
                raise UsageError(f"{name!r} is to stay on the workers, and the model has no such parameter or buffer")
        self.state = list(named.values())
        names = list(named)
        places = [place for place, name in enumerate(names) if name not in self.personal]
        self.form = Form(plan, names, places)
        self._shared = {names[place]: self.state[place].detach() for place in places}
        self._trained = tuple(name for name in self._shared if name in parameters and parameters[name].requires_grad)
        self._strategy = strategy

    def opening(self, number: int, workers: Sequence[str], population: int) -> Opening:
        """What a strategy is told of a round that begins."""
        return Opening(number, tuple(workers), population, self._shared, self._trained)

    @torch.no_grad()
    def step(self, collector: Collector) -> None:
        """Take the strategy's step, in all tensors or, where it raises, in none."""
        new = [
            narrowed(self._strategy.step(name, old, collector.combined(place)), old.dtype)
            for place, (name, old) in enumerate(self._shared.items())
        ]
        for old, value in zip(self._shared.values(), new, strict=True):
            old.copy_(value)
