"""The model at the coordinator: which of its tensors the workers share, and the step from answers to new values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from fedzmq.errors import ModelError, UsageError
from fedzmq.federated.assignment import Form
from fedzmq.federated.strategies.strategy import Opening, Strategy
from fedzmq.federated.updates.acceptance import check_step
from fedzmq.federated.updates.collector import Gives
from fedzmq.federated.updates.one_thread import one_thread
from fedzmq.federated.updates.precision import narrow_into


class SharedModel:
    """`state` is the model's own parameters and buffers, in the plan's order: whoever holds the model sees each step.

    `shared` is those that travel back, by name, and `trained` the names of those that training changes. Raises
    UsageError where a strategy keeps something on the workers that the model does not have.
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
        self.shared = {names[place]: self.state[place].detach() for place in places}
        self.trained = tuple(name for name in self.shared if name in parameters and parameters[name].requires_grad)
        self._strategy = strategy

    def opening(self, number: int, workers: Sequence[str], population: int) -> Opening:
        """What a strategy is told of a round that begins."""
        return Opening(number, tuple(workers), population, self.shared, self.trained)

    @property
    def named(self) -> dict[str, torch.Tensor]:
        """All of the state by name, what stays on the workers too."""
        return dict(zip(self.form.names, self.state, strict=True))

    @torch.no_grad()
    def restore(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take the values that `named` had once. Raises ModelError where they are another model's."""
        for name, tensor in self.named.items():
            if name not in values or values[name].shape != tensor.shape or values[name].dtype != tensor.dtype:
                raise ModelError(name, "what was kept of it is not of its form: it is another model's")
        for name, tensor in self.named.items():
            tensor.copy_(values[name])

    @torch.no_grad()
    def step(self, updates: Gives) -> None:
        """Take the strategy's step, in all tensors or, where it raises, in none.

        Raises UsageError for a step to what is no value of that tensor.
        """
        new: list[torch.Tensor] = []
        is_mean = type(self._strategy).step is Strategy.step  # and that is finite
        for place, (name, old) in enumerate(self.shared.items()):
            combined = updates.combined(place)
            value = self._strategy.step(name, old, combined)
            if not is_mean:
                check_step(type(self._strategy).__name__, name, old, value)
            if value is not combined:
                # In the memory of what was combined: there is no room for a second model of that precision.
                combined.copy_(value)
            new.append(combined)
        with one_thread():
            for old, value in zip(self.shared.values(), new, strict=True):
                narrow_into(old, value)
