"""Optimizers and clipped norms over the parameters of several workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim

from tests.pointers.loopback import Place

OPTIMIZERS: dict[str, Callable[[list[Tensor]], optim.Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, foreach=True),
    "adam": lambda p: optim.Adam(p, 0.1, foreach=True),
    "adam, fused": lambda p: optim.Adam(p, 0.1, fused=True),
    "asgd": lambda p: optim.ASGD(p, foreach=True),
}


def _parameters(*places: Place | None) -> list[Tensor]:
    """One in each place, with a gradient of its own."""
    made = []
    for number, place in enumerate(places, 1):
        local = torch.full((2,), float(number), requires_grad=True)
        made.append(local if place is None else local.send(place))
        (made[-1] * number).sum().backward()
    return made


def _here(tensor: Tensor) -> Tensor:
    return tensor if tensor.location is None else tensor.copy().get()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_groups_takes_each_workers_parameters_apart(bob: Place, alice: Place, name: str) -> None:
    steps = []
    for places in ((None, None, None), (bob, alice, None)):
        parameters = _parameters(*places)
        OPTIMIZERS[name](parameters).step()
        steps.append([_here(each).detach() for each in parameters])
    torch.testing.assert_close(steps[1], steps[0])


@pytest.mark.parametrize("foreach", [None, True])
@pytest.mark.parametrize("norm_type", [2.0, float("inf")])
def test_a_norm_over_several_workers_is_clipped_on_each(
    bob: Place, alice: Place, foreach: bool | None, norm_type: float
) -> None:
    found = []
    for places in ((None, None), (bob, bob), (bob, alice)):
        parameters = _parameters(*places)
        norm = nn.utils.clip_grad_norm_(parameters, 0.5, norm_type, foreach=foreach)
        found.append([_here(norm), *[_here(each.grad) for each in parameters if each.grad is not None]])
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])
