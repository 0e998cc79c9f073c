"""Whether what a worker answers can be used at all: its figures, before anything is pulled, and then every number."""

from __future__ import annotations

import math

import torch

from fedzmq.errors import UpdateNotFinite, UpdateRefused
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


def _have_means(values: torch.Tensor) -> bool:
    """By the extremes, to which NaN carries over: many times as fast as to look at each."""
    if values.is_complex():
        values = torch.view_as_real(values)
    if not values.is_floating_point() or not values.numel():
        return True
    if values.dtype.itemsize == 1:  # torch knows no extremes of these
        values = values.float()
    bound = torch.finfo(of_means(values.dtype)).max / 2  # two of which are never farther apart than a number can tell
    least, most = torch.aminmax(values)
    return -bound <= float(least) and float(most) <= bound
