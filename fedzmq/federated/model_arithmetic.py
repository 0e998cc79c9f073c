"""Sums, multiples and means of whole models, for programs that average by themselves.

Models may live anywhere; a mean of models is always here. `Trainer` averages by another way, which this is not part of.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fedzmq.errors import ModelError
from fedzmq.pointers.modules import get_module
from fedzmq.pointers.pointer import Pointer

Model = TypeVar("Model", bound=nn.Module)


def federated_avg(models: Mapping[Any, Model] | Iterable[Model]) -> Model:
    """A new model, here, whose parameters and buffers are the means of those of the models, computed in float64.

    The models are left as they are. Raises ModelError where there are none, or where they differ in form.
    """
    given = list(models.values() if isinstance(models, Mapping) else models)
    if not given:
        raise ModelError("federated_avg", "there are no models to average")
    states = [_values(model) for model in given]
    mean = get_module(copy.deepcopy(given[0]))
    with torch.no_grad():
        for name, tensor in _tensors(mean).items():
            found = [state.get(name) for state in states]
            values = [value for value in found if value is not None and value.shape == tensor.shape]
            if len(values) < len(states):
                raise ModelError("federated_avg", f"{name!r} does not have one form in all of the models")
            tensor.copy_(_mean(values))
    return mean  # type: ignore[return-value]  # a copy of a model is of its class


def add_model(model: Model, other: nn.Module) -> Model:
    """Add the parameters of another model to those of this one, in place."""
    added = dict(other.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in added:
                parameter.add_(added[name].detach())
    return model


def scale_model(model: Model, factor: float) -> Model:
    """Multiply the parameters, in place."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def accuracy(scores: Tensor, targets: Tensor) -> float:
    """How many of the rows of scores are greatest at their target: scores (rows, classes), targets (rows,)."""
    guesses = scores.argmax(1)
    return float((guesses == targets.reshape(guesses.shape)).double().mean())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _values(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().copy().get() if isinstance(tensor, Pointer) else tensor.detach()  # type: ignore[attr-defined]  # a pointer's
        for name, tensor in _tensors(model).items()
    }


def _mean(values: list[Tensor]) -> Tensor:
    exact = torch.complex128 if values[0].is_complex() else torch.float64
    mean = torch.stack([value.to(exact) for value in values]).mean(0)
    return mean if values[0].is_floating_point() or values[0].is_complex() else mean.round()
