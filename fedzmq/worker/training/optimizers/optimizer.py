"""What an optimizer is: a step of all parameters along their gradients, in place.

The classes of `torch.optim` are not used, because the first of them that is made imports torch's compiler, which costs
a worker a second. Underneath are torch's own functions for many tensors at once, fused kernels where there are any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from fedzmq.worker.training.options import Options


class Optimizer(ABC):
    """Steps parameters in place. Its state begins anew with each training task.

    Parameters are contiguous. Gradients are in the order of the parameters; one that is None leaves its parameter as it
    is, and the same are None in every step.
    """

    DEFAULTS: Options

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        self._parameters = list(parameters)
        self._all = range(len(self._parameters))
        self._options = {**self.DEFAULTS, **options}
        self.rate = 1.0
        """Of the learning rate: a schedule sets it before a step."""

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Change the parameters by one step along these gradients."""
        # The kernels read memory from end to end, whatever the strides: an expanded gradient has less than they read.
        dense = [each.contiguous() for each in gradients if each is not None]
        if dense:
            if len(dense) == len(gradients):
                used: Sequence[int] = self._all
            else:
                used = [index for index, gradient in enumerate(gradients) if gradient is not None]
            with torch.no_grad():
                self._step(used, dense)

    @abstractmethod
    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        """One step of the parameters with these numbers, along as many gradients."""

    @property
    def _lr(self) -> float:
        return float(self._options["lr"]) * self.rate

    def _number(self, option: str) -> float:
        return float(self._options[option])

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(each) for each in self._parameters]

    def _counts(self) -> list[Tensor]:
        """How many steps each parameter has taken."""
        return [torch.zeros((), dtype=torch.float32, device=each.device) for each in self._parameters]


def chosen(tensors: Sequence[Tensor], used: Sequence[int]) -> list[Tensor]:
    """Those with these numbers; none of what an optimizer does not keep."""
    return list(tensors) if len(used) == len(tensors) else [tensors[index] for index in used] if tensors else []
