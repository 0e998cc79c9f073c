"""Optimizers that go back to Adam: Adamax, NAdam and RAdam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamax import adamax
from torch.optim.nadam import nadam
from torch.optim.radam import radam

from fedzmq.worker.training.optimizers.optimizer import Optimizer, chosen
from fedzmq.worker.training.options import Options


class _Variant(Optimizer):
    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._means = self._zeros()
        self._squares = self._zeros()
        self._steps = self._counts()

    def _numbers(self) -> dict[str, Any]:
        """The options that all of these have, as torch's functions take them."""
        return {"lr": self._lr, **{name: self._number(name) for name in ("beta1", "beta2", "weight_decay", "eps")}}


class Adamax(_Variant):
    """Adam with the greatest gradient in place of their square (Kingma and Ba 2015, section 7.1)."""

    DEFAULTS = {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        adamax(
            chosen(self._parameters, used),
            gradients,
            chosen(self._means, used),
            chosen(self._squares, used),
            chosen(self._steps, used),
            foreach=True,
            **self._numbers(),
        )


class NAdam(_Variant):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    DEFAULTS = {
        "lr": 2e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum_decay": 4e-3,
        "decoupled": False,
    }

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._products = [torch.ones_like(each) for each in self._counts()]

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        nadam(
            chosen(self._parameters, used),
            gradients,
            chosen(self._means, used),
            chosen(self._squares, used),
            chosen(self._products, used),
            chosen(self._steps, used),
            decoupled_weight_decay=bool(self._options["decoupled"]),
            foreach=True,
            momentum_decay=self._number("momentum_decay"),
            **self._numbers(),
        )


class RAdam(_Variant):
    """Adam whose rate is rectified while it knows little (Liu et al. 2020)."""

    DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        radam(
            chosen(self._parameters, used),
            gradients,
            chosen(self._means, used),
            chosen(self._squares, used),
            chosen(self._steps, used),
            decoupled_weight_decay=bool(self._options["decoupled"]),
            foreach=True,
            **self._numbers(),
        )
