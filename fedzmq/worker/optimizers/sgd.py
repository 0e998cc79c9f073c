"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fedzmq.errors import UsageError
from fedzmq.worker.optimizers.optimizer import Optimizer, Options, chosen


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as in Sutskever et al. 2013."""

    DEFAULTS = {"lr": 0.01, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        if self._options["nesterov"] and (not self._options["momentum"] or self._options["dampening"]):
            raise UsageError("'nesterov' needs a 'momentum' above 0, and no 'dampening'")
        self._momenta = self._zeros() if self._options["momentum"] else []
        self._is_first = True

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        torch._fused_sgd_(
            chosen(self._parameters, used),
            gradients,
            chosen(self._momenta, used),
            weight_decay=self._number("weight_decay"),
            momentum=self._number("momentum"),
            lr=self._lr,
            dampening=self._number("dampening"),
            nesterov=bool(self._options["nesterov"]),
            maximize=False,
            is_first_step=self._is_first,
        )
        self._is_first = False
