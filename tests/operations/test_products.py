from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fedzmq.errors import LimitExceeded, OperationRefused
from fedzmq.operations.guards.products import Products

LIMIT = 1 << 20
COLUMN, ROW = torch.ones(1000, 1), torch.ones(1, 1000)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (torch.add, (COLUMN, ROW)),
        (torch.where, (COLUMN > 0, ROW, 0.0)),
        (torch.matmul, (COLUMN, ROW)),
        (torch.linalg.multi_dot, ([COLUMN, ROW],)),
        (torch.einsum, ("ij,jk->ik", [COLUMN, ROW])),
        (F.mse_loss, (COLUMN, ROW)),
        (F.cosine_similarity, (COLUMN[:, None], ROW[..., None], -1)),
        (F.embedding, (torch.zeros(1000, dtype=torch.long), torch.ones(2, 1000))),
        (torch.Tensor.__getitem__, (ROW.T.expand(1000, 1000), (slice(None), torch.zeros(1000, dtype=torch.long)))),
        (torch.cat, ([ROW] * 1000,)),
        (torch._foreach_mul, ([COLUMN], [ROW])),
    ],
)
def test_what_operands_make_together_is_refused_before_it_takes_memory(function: Any, arguments: Any) -> None:
    with pytest.raises(LimitExceeded):
        Products(LIMIT).check("it", function, None, arguments, {})


def test_tensors_by_name_meet_too() -> None:
    with pytest.raises(LimitExceeded):
        Products(LIMIT).check("linear", F.linear, None, (COLUMN,), {"weight": COLUMN})


def test_large_operands_of_a_result_that_fits_pass_once_they_were_looked_at() -> None:
    products, looked = Products(LIMIT), []

    def product(*tensors: torch.Tensor) -> torch.Tensor:
        looked.append(tensors)
        return torch.matmul(*tensors)

    for _ in range(3):
        products.check_tensors("matmul", product, None, (ROW, COLUMN))
    assert len(looked) == 1
    products.check_tensors("matmul", product, None, (ROW.double(), COLUMN.double()))
    assert len(looked) == 2


@pytest.mark.parametrize(("calls", "length"), [(3, 100_000), (300, 1_000)])
def test_lists_of_indices_are_remembered_up_to_a_bound_however_long_they_are(calls: int, length: int) -> None:
    products, index = Products(LIMIT), length << 40
    before = sys.getrefcount(index)

    for call in range(calls):
        products.check("it", torch.Tensor.__getitem__, None, (COLUMN, [call, *[index] * length]), {})
    assert sys.getrefcount(index) - before < 1 << 16


def test_two_tensors_that_are_not_notable_make_nothing_too_large() -> None:
    assert Products(LIMIT).notable ** 2 * 16 <= LIMIT


def test_what_is_wrong_with_a_call_is_left_to_its_kernel() -> None:
    Products(LIMIT).check_tensors("matmul", torch.matmul, None, (ROW, ROW))


def test_nothing_that_a_guard_refuses_is_tried_on_the_meta_device() -> None:
    def guard(limit: int, arguments: object, keywords: object) -> None:
        raise OperationRefused("it", "its kernel would end the process")

    with pytest.raises(OperationRefused):
        Products(LIMIT).check("it", lambda *operands: pytest.fail("it ran"), guard, (ROW, COLUMN), {})
