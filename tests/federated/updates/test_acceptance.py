from __future__ import annotations

import math

import pytest
import torch

from fedzmq.errors import UpdateRefused
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.acceptance import check_answer, check_values, needs_steps
from fedzmq.federated.updates.precision import of_means

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e5m2, torch.complex64]


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.bool])
def test_numbers_pass_up_to_half_of_the_greatest_that_a_mean_can_have(dtype: torch.dtype) -> None:
    greatest = min(torch.finfo(dtype).max, torch.finfo(of_means(dtype)).max * 0.49) if dtype in FLOATS else 1
    check_values("weight", torch.tensor([0.0, greatest, -greatest], dtype=torch.float64).to(dtype))
    check_values("weight", torch.zeros(0, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_a_number_whose_distance_to_another_is_none_is_refused(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, -torch.finfo(dtype).max * 0.6], dtype=torch.float64).to(dtype)

    with pytest.raises(UpdateRefused, match="'weight' holds NaN or infinity, or all but that"):
        check_values("weight", values)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_number_is_refused_wherever_it_is(dtype: torch.dtype, bad: float, place: int) -> None:
    values = torch.zeros(3)
    values[place] = bad

    with pytest.raises(UpdateRefused, match="'weight' holds NaN or infinity"):
        check_values("weight", values.to(dtype))


def test_an_imaginary_part_that_is_none_is_refused() -> None:
    with pytest.raises(UpdateRefused, match="'weight' holds NaN"):
        check_values("weight", torch.tensor([complex(1, math.nan)]))


def test_a_training_on_nothing_is_refused() -> None:
    with pytest.raises(UpdateRefused, match="it counts 0 examples, and at least 1 was expected"):
        check_answer(Answer("bob", 0, 0.5, 0.1))


def test_a_training_without_a_step_is_refused_where_steps_are_needed() -> None:
    with pytest.raises(UpdateRefused, match="it took 0 steps, and this strategy needs at least 1"):
        needs_steps(Answer("bob", 7, 0.5, 0.1, steps=0))
