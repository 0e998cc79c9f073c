"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from fedzmq.errors import UsageError
from fedzmq.worker.training.optimizers.optimizer import Optimizer, chosen
from fedzmq.worker.training.options import Options


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as in Sutskever et al. 2013."""

    DEFAULTS = {"lr": 0.01, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        if self._options["nesterov"] and (not self._options["momentum"] or self._options["dampening"]):
            raise UsageError("'nesterov' needs a 'momentum' above 0, and no 'dampening'")
        # The fused kernel leaves numbers of half the precision as they were.
        self._is_fused = all(each.dtype in (torch.float32, torch.float64) for each in self._parameters)
        self._momenta = self._zeros() if self._options["momentum"] and self._is_fused else []
        self._found: list[Tensor | None] = [None] * len(self._parameters)
        self._is_first = True

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        if not self._is_fused:
            self._step_unfused(used, gradients)
            return
        torch._fused_sgd_(
            chosen(self._parameters, used),
            gradients,
            chosen(self._momenta, used),
            **self._numbers(),
            is_first_step=self._is_first,
        )
        self._is_first = False

    def _step_unfused(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        momenta = [self._found[index] for index in used]
        sgd(
            chosen(self._parameters, used),
            gradients,
            momenta,
            foreach=True,
            **self._numbers(),
        )
        for index, momentum in zip(used, momenta, strict=True):
            self._found[index] = momentum

    def _numbers(self) -> dict[str, Any]:
        return {
            "weight_decay": self._number("weight_decay"),
            "momentum": self._number("momentum"),
            "lr": self._lr,
            "dampening": self._number("dampening"),
            "nesterov": bool(self._options["nesterov"]),
            "maximize": False,
        }
