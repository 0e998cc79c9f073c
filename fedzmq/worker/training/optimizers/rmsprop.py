"""RMSprop and Adadelta, which divide by a running mean of squares."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.adadelta import adadelta
from torch.optim.rmsprop import rmsprop

from fedzmq.worker.training.optimizers.optimizer import Optimizer, chosen
from fedzmq.worker.training.options import Options


class RMSprop(Optimizer):
    """Gradients over the root of their mean square (Tieleman and Hinton 2012); centered as in Graves 2013."""

    DEFAULTS = {
        "lr": 0.01,
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "centered": False,
    }

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._squares = self._zeros()
        self._means = self._zeros() if self._options["centered"] else []
        self._momenta = self._zeros() if self._options["momentum"] else []
        self._steps = self._counts()

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        rmsprop(
            chosen(self._parameters, used),
            gradients,
            chosen(self._squares, used),
            chosen(self._means, used),
            chosen(self._momenta, used),
            chosen(self._steps, used),
            foreach=True,
            lr=self._lr,
            alpha=self._number("alpha"),
            eps=self._number("eps"),
            weight_decay=self._number("weight_decay"),
            momentum=self._number("momentum"),
            centered=bool(self._options["centered"]),
        )


class Adadelta(Optimizer):
    """Steps in the unit of the parameters (Zeiler 2012)."""

    DEFAULTS = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._squares = self._zeros()
        self._ways = self._zeros()
        self._steps = self._counts()

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        adadelta(
            chosen(self._parameters, used),
            gradients,
            chosen(self._squares, used),
            chosen(self._ways, used),
            chosen(self._steps, used),
            foreach=True,
            lr=self._lr,
            rho=self._number("rho"),
            eps=self._number("eps"),
            weight_decay=self._number("weight_decay"),
            maximize=False,
        )
