"""Losses by the names that the command line and job files use: each is torch's function of that name.

All give the mean over the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, update_wrapper

from torch import Tensor
from torch.nn import functional

from fedzmq.data.examples import Examples
from fedzmq.errors import UsageError
from fedzmq.recording.batch_plan import Loss
from fedzmq.suggestion import check_named


def loss_by_name(name: str, options: Mapping[str, float]) -> Loss:
    """The loss of that name with its options. Raises UsageError."""
    check_named("loss", name, {each: known.options for each, known in LOSSES.items()}, options)
    known = LOSSES[name]
    for option, value in options.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not 0 <= value <= known.most or (known.is_positive and not value):
            least = "above 0" if known.is_positive else "from 0"
            bounds = least + (f" to {known.most:g}" if math.isfinite(known.most) else "")
            raise UsageError(
                f"the option {option!r} of the loss {name!r} is {value!r}, and a number {bounds} is expected"
            )
    chosen = partial(known.function, **{**known.options, **options})
    made: Loss = update_wrapper(partial(_alike, chosen) if known.is_alike else chosen, known.function)
    made.__name__ = name
    return made


def loss_for(data: Examples) -> Loss:
    """Cross-entropy where the targets are classes, squared error where they are measurements."""
    return loss_by_name("mse" if data.columns[-1].dtype.is_floating_point else "cross_entropy", {})


def named(loss: Loss) -> str:
    """What messages and records call it."""
    return str(getattr(loss, "__name__", type(loss).__name__))


def _alike(loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, targets: Tensor) -> Tensor:
    """Of numbers that are held against each other one by one: the targets take the form and the dtype of the answers,
    from which they may differ in dimensions of size 1. Without that, torch would hold each against all others.
    """
    if _sizes(output) == _sizes(targets):
        targets = targets.reshape(output.shape)
    elif output.shape != targets.shape:
        raise RuntimeError("answers and targets differ in how many numbers an example has")
    return loss(output, targets.to(output.dtype))


def _sizes(tensor: Tensor) -> list[int]:
    return [size for size in tensor.shape[1:] if size != 1]


def _bce_with_logits(output: Tensor, targets: Tensor, pos_weight: float) -> Tensor:
    weight = None if pos_weight == 1 else output.new_full((), pos_weight)
    return functional.binary_cross_entropy_with_logits(output, targets, pos_weight=weight)


@dataclass(frozen=True, slots=True)
class _Named:
    """options: with their defaults; a number from 0, or above where it `is_positive`, up to `most`. is_alike: it holds
    a target against each number of an answer.
    """

    function: Callable[..., Tensor]
    options: Mapping[str, float] = field(default_factory=dict)
    most: float = math.inf
    is_positive: bool = False
    is_alike: bool = True


LOSSES: Mapping[str, _Named] = {
    "bce": _Named(functional.binary_cross_entropy),
    "bce_with_logits": _Named(_bce_with_logits, {"pos_weight": 1.0}),
    "cross_entropy": _Named(functional.cross_entropy, {"label_smoothing": 0.0}, 1.0, is_alike=False),
    "huber": _Named(functional.huber_loss, {"delta": 1.0}, is_positive=True),
    "l1": _Named(functional.l1_loss),
    "mse": _Named(functional.mse_loss),
    "multi_margin": _Named(functional.multi_margin_loss, {"margin": 1.0}, is_alike=False),
    "nll": _Named(functional.nll_loss, is_alike=False),
    "poisson_nll": _Named(functional.poisson_nll_loss),
    "smooth_l1": _Named(functional.smooth_l1_loss, {"beta": 1.0}),
}
