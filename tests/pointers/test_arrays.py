from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest
import torch

from fedzmq.errors import NeedsValueError
from tests.pointers.loopback import Place

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.eq, operator.matmul]
INDICES = {
    "rows": np.array([2, 0]),
    "a mask": np.array([True, False, True]),
    "pairs": (np.array([0, 1]), np.array([1, 1])),
    "a row": np.int64(1),
}


@pytest.mark.parametrize("apply", OPERATORS)
def test_an_array_is_an_operand_on_either_side(bob: Place, apply: Callable[..., torch.Tensor]) -> None:
    x, array = torch.tensor([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0], dtype=np.float32)
    other = torch.from_numpy(array)
    torch.testing.assert_close(apply(x.send(bob), array).get(), apply(x, other))
    torch.testing.assert_close(apply(array, x.send(bob)).get(), apply(other, x))


@pytest.mark.parametrize("name", INDICES)
def test_an_array_is_an_index(bob: Place, name: str) -> None:
    x = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(x.send(bob)[INDICES[name]].get(), x[INDICES[name]])
    p, here = x.send(bob), x.clone()
    p[INDICES[name]] = 7
    here[INDICES[name]] = 7
    assert torch.equal(p.get(), here)


@pytest.mark.parametrize("ask", [np.sin, np.asarray, np.cumsum, lambda p: np.multiply(np.ones(3), p, out=np.ones(3))])
def test_any_other_function_of_numpys_needs_the_value(bob: Place, ask: Callable[..., object]) -> None:
    with pytest.raises(NeedsValueError):
        ask(torch.ones(3).send(bob))
