"""Adagrad."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad

from fedzmq.worker.training.optimizers.optimizer import Optimizer, chosen
from fedzmq.worker.training.options import Options


class Adagrad(Optimizer):
    """Gradients over the root of the sum of their squares (Duchi et al. 2011). `initial` is where the sum begins."""

    DEFAULTS = {"lr": 0.01, "lr_decay": 0.0, "weight_decay": 0.0, "initial": 0.0, "eps": 1e-10}

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._sums = [torch.full_like(each, self._number("initial")) for each in self._parameters]
        self._steps = self._counts()

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        adagrad(
            chosen(self._parameters, used),
            gradients,
            chosen(self._sums, used),
            chosen(self._steps, used),
            foreach=True,
            lr=self._lr,
            weight_decay=self._number("weight_decay"),
            lr_decay=self._number("lr_decay"),
            eps=self._number("eps"),
            maximize=False,
        )
