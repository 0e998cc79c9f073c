"""Whether what a worker answers can be used at all: its figures, before anything is pulled, and then every number.

And what a strategy makes of it, which may be of the user's own.
"""

from __future__ import annotations

import math

import torch

from fedzmq.errors import UpdateNotFinite, UpdateRefused, UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.precision import of_means


def check_answer(answer: Answer) -> None:
    """Raises UpdateRefused for a training on no example."""
    if answer.examples < 1:
        raise UpdateRefused(f"it counts {answer.examples} examples, and at least 1 was expected")


def needs_steps(answer: Answer) -> None:
    """Raises UpdateRefused for a training that took no step."""
    if answer.steps < 1:
        raise UpdateRefused(f"it took {answer.steps} steps, and this strategy needs at least 1")


def needs_a_way(answer: Answer) -> None:
    """Raises UpdateRefused for a training whose steps would have led nowhere, whatever the gradients."""
    needs_steps(answer)
    if not 0 < answer.way < math.inf:
        raise UpdateRefused(
            f"the learning rates of its {answer.steps} steps come to {answer.way:g}, and this strategy divides by "
            "them: a number above 0 is needed"
        )


def check_values(name: str, values: torch.Tensor) -> None:
    """Raises UpdateNotFinite where some of the tensor of that name are no numbers, or too great to have a mean."""
    if not _have_means(values):
        raise UpdateNotFinite(name)


def check_step(strategy: str, name: str, old: torch.Tensor, new: object) -> None:
    """Raises UsageError where a strategy's step would make something else of the tensor of that name."""
    what = f"the step of the strategy {strategy} makes"
    if not isinstance(new, torch.Tensor):
        raise UsageError(f"{what} {new!r:.40} of {name!r}, and a tensor is expected: return what it is to become")
    if new.shape != old.shape:
        raise UsageError(f"{what} the shape {tuple(new.shape)} of {name!r}, which has {tuple(old.shape)}")
    if (old.is_floating_point() or old.is_complex()) and not _are_within(new, torch.finfo(old.dtype).max):
        raise UsageError(
            f"{what} NaN or infinity of {name!r}, or more than {old.dtype} can hold, of updates that are finite: its "
            "learning rate may be too large"
        )


def _have_means(values: torch.Tensor) -> bool:
    if not (values.is_floating_point() or values.is_complex()):
        return True
    # Two that are no farther apart than a number can tell.
    return _are_within(values, torch.finfo(of_means(values.dtype)).max / 2)


def _are_within(values: torch.Tensor, bound: float) -> bool:
    """By the extremes, to which NaN carries over: many times as fast as to look at each."""
    if values.is_complex():
        values = torch.view_as_real(values)
    if not values.numel():
        return True
    if values.is_floating_point() and values.dtype.itemsize == 1:  # torch knows no extremes of these
        values = values.float()
    least, most = torch.aminmax(values)
    return -bound <= float(least) and float(most) <= bound
