from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as torchs

from fedzmq.errors import UsageError
from fedzmq.worker.training.schedules import make_schedule

LR = 0.5

CASES: dict[str, tuple[str, dict[str, float], Callable[[Any], Any]]] = {
    "step": ("step", {"step_size": 3, "gamma": 0.5}, lambda o: torchs.StepLR(o, 3, 0.5)),
    "exponential": ("exponential", {"gamma": 0.9}, lambda o: torchs.ExponentialLR(o, 0.9)),
    "cosine": ("cosine", {"floor": 0.2}, lambda o: torchs.CosineAnnealingLR(o, 20, eta_min=0.2 * LR)),
    "restarts": (
        "restarts",
        {"length": 3, "multiple": 2, "floor": 0.2},
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.2 * LR),
    ),
    "equal restarts": ("restarts", {"length": 4}, lambda o: torchs.CosineAnnealingWarmRestarts(o, 4)),
    "linear": (
        "linear",
        {"start": 0.3, "end": 0.1, "length": 7},
        lambda o: torchs.LinearLR(o, 0.3, 0.1, total_iters=7),
    ),
    "polynomial": ("polynomial", {"power": 2.0}, lambda o: torchs.PolynomialLR(o, 20, 2.0)),
    "warm-up": (
        "constant",
        {"warmup": 5, "warmup_start": 0.2},
        lambda o: torchs.LinearLR(o, 0.2, total_iters=5),
    ),
    "warm-up and then": (
        "cosine",
        {"warmup": 4, "warmup_start": 0.2},
        lambda o: torchs.SequentialLR(
            o, [torchs.LinearLR(o, 0.2, total_iters=4), torchs.CosineAnnealingLR(o, 16)], milestones=[4]
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_schedule_is_that_of_torch(case: str) -> None:
    name, options, make = CASES[case]
    rate = make_schedule(name, options, 20)
    optimizer = torch.optim.SGD([torch.zeros(1)], LR)
    scheduler = make(optimizer)

    assert rate is not None
    for step in range(20):
        assert LR * rate(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        scheduler.step()


def test_a_constant_rate_needs_no_schedule() -> None:
    assert make_schedule("constant", {}, 10) is None


def test_warming_up_begins_above_zero_and_ends_at_the_whole() -> None:
    rate = make_schedule("constant", {"warmup": 4}, 10)

    assert rate is not None
    assert [rate(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_the_inverse_of_the_step_falls_as_it_says() -> None:
    rate = make_schedule("inverse", {"decay": 0.5}, 10)

    assert rate is not None
    assert [rate(step) for step in range(3)] == [1.0, 1 / 1.5, 0.5]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("cosin", {}, r"no schedule 'cosin' \(known: constant, cosine, .*\); did you mean 'cosine'\?"),
        ("cosine", {"flor": 0.1}, r"the schedule 'cosine' has no option 'flor' .* did you mean 'floor'\?"),
        ("step", {"step_size": 0}, "'step_size' of a schedule is 0, and a whole number from 1 is needed"),
        ("constant", {"warmup": 1.5}, "'warmup' of a schedule is 1.5, and a whole number from 0 is needed"),
        ("exponential", {"gamma": -1.0}, "'gamma' of a schedule is -1, and it cannot be negative"),
        ("restarts", {"length": 0}, "'length' of the schedule 'restarts' is 0, and at least 1 is needed"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(name: str, options: dict[str, float], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make_schedule(name, options, 10)
