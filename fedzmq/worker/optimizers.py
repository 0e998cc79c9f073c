"""The optimizers that train a plan, each one call into torch's fused kernel per step.

They compute what the classes of the same names in `torch.optim` compute. Those are not used because they import
torch's compiler with the first step, which costs a worker a second, and because a fused call per step is faster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from fedzmq.errors import UsageError

Options = Mapping[str, float | int | bool]


class Optimizer(ABC):
    """Steps parameters in place. Its state begins anew with each training task.

    Parameters are contiguous. Gradients are in the order of the parameters; one that is None leaves its parameter as it
    is, and the same are None in every step.
    """

    DEFAULTS: Options

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        self._parameters = list(parameters)
        self._options = {**self.DEFAULTS, **options}

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Change the parameters by one step along these gradients."""
        # The kernels read memory from end to end, whatever the strides: an expanded gradient has less than they read.
        dense = [None if each is None else each.contiguous() for each in gradients]
        used = [index for index, gradient in enumerate(dense) if gradient is not None]
        if used:
            with torch.no_grad():
                self._step(used, [gradient for gradient in dense if gradient is not None])

    @abstractmethod
    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        """One step of the parameters with these numbers, along as many gradients."""

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(each) for each in self._parameters]


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
            _chosen(self._parameters, used),
            gradients,
            _chosen(self._momenta, used),
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

    def __init__(self, parameters: Sequence[Tensor], options: Options) -> None:
        super().__init__(parameters, options)
        self._means = self._zeros()
        self._squares = self._zeros()
        self._largest = self._zeros() if self._options["amsgrad"] else []
        self._steps = [torch.zeros((), dtype=torch.float32, device=each.device) for each in self._parameters]

    def _step(self, used: Sequence[int], gradients: list[Tensor]) -> None:
        steps = _chosen(self._steps, used)
        torch._foreach_add_(steps, 1)
        fused = torch._fused_adamw_ if self.DECOUPLED else torch._fused_adam_
        fused(
            _chosen(self._parameters, used),
            gradients,
            _chosen(self._means, used),
            _chosen(self._squares, used),
            _chosen(self._largest, used),
            steps,
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


def make_optimizer(name: str, parameters: Sequence[Tensor], options: Options) -> Optimizer:
    """The optimizer of that name over these parameters. UsageError names the known names and options."""
    known = OPTIMIZERS.get(name)
    if known is None:
        raise UsageError(f"no optimizer {name!r} (known: {', '.join(sorted(OPTIMIZERS))}){_nearest(name, OPTIMIZERS)}")
    for option, value in options.items():
        if option not in known.DEFAULTS:
            raise UsageError(
                f"the optimizer {name!r} has no option {option!r} (known: {', '.join(sorted(known.DEFAULTS))})"
                f"{_nearest(option, known.DEFAULTS)}"
            )
        if value < 0:
            raise UsageError(f"the option {option!r} of an optimizer is {value:g}, and it cannot be negative")
        if option.startswith("beta") and value >= 1:
            raise UsageError(f"the option {option!r} of an optimizer is {value:g}, and it must be below 1")
    return known(parameters, options)


def _chosen(tensors: Sequence[Tensor], used: Sequence[int]) -> list[Tensor]:
    return [tensors[index] for index in used] if tensors else []


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
