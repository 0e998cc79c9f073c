"""How far an optimizer goes, against torch's own on a slope of one everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fedzmq.worker.training.way import Way

RATES = (1.0, 0.5, 0.0, 0.25, 1.0, 0.75, 0.1)


@pytest.mark.parametrize("pull", [0.0, 0.7])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.5, "dampening": 0.3},
        {"momentum": 0.8, "nesterov": True},
    ],
)
def test_a_way_is_where_torchs_optimizer_goes_along_gradients_of_one(options: dict[str, Any], pull: float) -> None:
    way = Way("sgd", {"lr": 0.3, **options}, pull)
    weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.3, **options)
    for rate in RATES:
        optimizer.param_groups[0]["lr"] = 0.3 * rate
        optimizer.zero_grad()
        (weight + pull / 2 * weight.square()).backward()
        optimizer.step()
        way.step(rate)

    assert way.length == pytest.approx(-weight.item(), rel=1e-12)


def test_with_momentum_a_gradient_weighs_the_more_the_more_steps_follow_it() -> None:
    rho, steps = 0.9, 12
    way = Way("sgd", {"lr": 0.1, "momentum": rho})
    for _ in range(steps):
        way.step(1.0)

    assert way.length == pytest.approx(0.1 * sum((1 - rho**rest) / (1 - rho) for rest in range(1, steps + 1)))


def test_with_a_pull_it_weighs_the_less() -> None:
    way = Way("sgd", {"lr": 0.1}, pull=2.0)
    for _ in range(12):
        way.step(1.0)

    assert way.length == pytest.approx(0.1 * sum((1 - 0.1 * 2.0) ** rest for rest in range(12)))


def test_other_optimizers_count_by_their_learning_rates() -> None:
    way = Way("adam", {}, pull=2.0)
    for rate in (1.0, 0.5):
        way.step(rate)

    assert way.length == pytest.approx(1.5e-3)
