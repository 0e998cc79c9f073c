"""Adam, with weight decay in the gradient or apart from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fedzmq.worker.training.optimizers.optimizer import Optimizer, chosen
from fedzmq.worker.training.options import Options


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with weight decay added to the gradient."""

    DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
    DECOUPLED = False

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._means = self._zeros()
        self._squares = self._zeros()
        self._largest = self._zeros() if self._options["amsgrad"] else []
        self._steps = self._counts()

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        steps = chosen(self._steps, used)
        torch._foreach_add_(steps, 1)
        fused = torch._fused_adamw_ if self.DECOUPLED else torch._fused_adam_
        fused(
            chosen(self._parameters, used),
            gradients,
            chosen(self._means, used),
            chosen(self._squares, used),
            chosen(self._largest, used),
            steps,
            lr=self._lr,
            beta1=self._number("beta1"),
            beta2=self._number("beta2"),
            weight_decay=self._number("weight_decay"),
            eps=self._number("eps"),
            amsgrad=bool(self._options["amsgrad"]),
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    DEFAULTS = {**Adam.DEFAULTS, "weight_decay": 1e-2}
    DECOUPLED = True
