"""The optimizers that train a plan, each one call into torch's fused kernel per step.

They compute what the classes of the same names in `torch.optim` compute. Those are not used because they import
torch's compiler with the first step, which costs a worker a second, and because a fused call per step is faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch

from fedzmq.errors import UsageError

Options = Mapping[str, float | int | bool]


class Optimizer(ABC):
    """Steps parameters in place. Its state begins anew with each training task."""

    DEFAULTS: Options

    def __init__(self, parameters: Sequence[torch.Tensor], options: Options) -> None:
        self._parameters = list(parameters)
        self._options = {**self.DEFAULTS, **options}

    @abstractmethod
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """Change the parameters by one step along these gradients, which are in the order of the parameters."""


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as in Sutskever et al. 2013."""

    DEFAULTS = {"lr": 0.01, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}

    def __init__(self, parameters: Sequence[torch.Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        heavy = self._options["momentum"] != 0
        self._momenta = [torch.zeros_like(each) for each in self._parameters] if heavy else []
        self._is_first = True

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        if not self._parameters:
            return
        torch._fused_sgd_(
            self._parameters,
            list(gradients),
            self._momenta,
            weight_decay=float(self._options["weight_decay"]),
            momentum=float(self._options["momentum"]),
            lr=float(self._options["lr"]),
            dampening=float(self._options["dampening"]),
            nesterov=bool(self._options["nesterov"]),
            maximize=False,
            is_first_step=self._is_first,
        )
        self._is_first = False


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with weight decay added to the gradient."""

    DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
    DECOUPLED = False

    def __init__(self, parameters: Sequence[torch.Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._means = [torch.zeros_like(each) for each in self._parameters]
        self._squares = [torch.zeros_like(each) for each in self._parameters]
        amsgrad = bool(self._options["amsgrad"])
        self._largest = [torch.zeros_like(each) for each in self._parameters] if amsgrad else []
        self._steps = [torch.zeros((), dtype=torch.float32, device=each.device) for each in self._parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        if not self._parameters:
            return
        torch._foreach_add_(self._steps, 1)
        fused = torch._fused_adamw_ if self.DECOUPLED else torch._fused_adam_
        fused(
            self._parameters,
            list(gradients),
            self._means,
            self._squares,
            self._largest,
            self._steps,
            lr=float(self._options["lr"]),
            beta1=float(self._options["beta1"]),
            beta2=float(self._options["beta2"]),
            weight_decay=float(self._options["weight_decay"]),
            eps=float(self._options["eps"]),
            amsgrad=bool(self._options["amsgrad"]),
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    DEFAULTS = {**Adam.DEFAULTS, "weight_decay": 1e-2}
    DECOUPLED = True


OPTIMIZERS: Mapping[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


def make_optimizer(name: str, parameters: Sequence[torch.Tensor], options: Options) -> Optimizer:
    """The optimizer of that name over these parameters. UsageError names the known names and options."""
    known = OPTIMIZERS.get(name)
    if known is None:
        raise UsageError(f"no optimizer {name!r} (known: {', '.join(sorted(OPTIMIZERS))}){_nearest(name, OPTIMIZERS)}")
    for option in options:
        if option not in known.DEFAULTS:
            raise UsageError(
                f"the optimizer {name!r} has no option {option!r} (known: {', '.join(sorted(known.DEFAULTS))})"
                f"{_nearest(option, known.DEFAULTS)}"
            )
    return known(parameters, options)


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
