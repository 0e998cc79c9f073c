from __future__ import annotations

from typing import Any

import pytest
import torch

from fedzmq.errors import OperationRefused, TensorsNotCollocatedException
from fedzmq.wire.messages import Seed
from tests.pointers.loopback import Place

EYE = torch.eye(3)


def value(pointer: torch.Tensor) -> torch.Tensor:
    return pointer.copy().get()


def test_out_of_the_same_shape_is_written(bob: Place) -> None:
    p, out = EYE.send(bob), torch.zeros(3, 3).send(bob)
    assert torch.add(p, p, out=out) is out
    assert torch.equal(value(out), EYE * 2)
    values, indices = torch.zeros(3).send(bob), torch.zeros(3, dtype=torch.long).send(bob)
    found = torch.max(p, 0, out=(values, indices))
    assert found.values is values
    assert torch.equal(value(found.indices), torch.arange(3))


def test_out_that_does_not_fit_is_refused(bob: Place) -> None:
    p = EYE.send(bob)
    with pytest.raises(OperationRefused, match="shape"):
        torch.add(p, p, out=torch.zeros(1).send(bob))
    with pytest.raises(RuntimeError, match="can't be cast"):
        torch.add(p, p, out=torch.zeros(3, 3, dtype=torch.long).send(bob))
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        torch.add(p, p, out=torch.zeros(3, 3, requires_grad=True).send(bob))
    with pytest.raises(TensorsNotCollocatedException):
        torch.add(p, p, out=torch.zeros(3, 3))


def test_a_kernel_says_itself_what_out_may_be(bob: Place) -> None:
    p = EYE.send(bob)
    with pytest.raises(TypeError, match="can't be cast"):
        torch.cat([p, p], out=torch.empty(0, dtype=torch.long).send(bob))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype"):
        torch.linalg.lu_factor(p, out=(torch.zeros(3, 3).double().send(bob), torch.zeros(3).int().send(bob)))
    without_gradient = torch.special.airy_ai(p, out=torch.zeros(3, 3, requires_grad=True).send(bob))
    assert torch.equal(value(without_gradient.detach()), torch.special.airy_ai(EYE))
    rows = [torch.zeros(3).send(bob) for _ in range(3)]
    assert torch.unbind_copy(p, out=rows) is None
    assert torch.equal(value(rows[1]), EYE[1])


def test_numbers_are_drawn_in_the_dtype_of_out(bob: Place) -> None:
    wanted, found = torch.zeros(3, 3).double(), torch.zeros(3, 3).double().send(bob)
    torch.manual_seed(3)
    torch.normal(EYE, EYE, out=wanted)
    bob.stream.command(Seed(3), None)
    assert torch.equal(value(torch.normal(EYE.send(bob), EYE.send(bob), out=found)), wanted)


def test_what_is_made_of_numbers_is_made_in_the_dtype_of_out(bob: Place) -> None:
    out = torch.empty(0, dtype=torch.long).send(bob)
    assert value(torch.arange(0, 10, 2.5, out=out)).tolist() == [0, 2, 4, 6, 8]
    assert value(torch.linspace(0, 10, 4, out=torch.empty(0, dtype=torch.long).send(bob))).tolist() == [0, 3, 6, 10]
    with pytest.raises(ValueError, match="step must be nonzero"):
        torch.arange(0, 64, 0.5, out=torch.empty(0, dtype=torch.long).send(bob))


SUMS = [
    torch.sum,
    torch.prod,
    torch.cumsum,
    torch.cumprod,
    torch.mean,
    torch.nanmean,
    torch.nansum,
    torch.std,
    torch.var,
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32], ids=str)
@pytest.mark.parametrize("func", SUMS, ids=lambda func: func.__name__)
def test_a_sum_is_added_up_in_the_dtype_of_out(bob: Place, func: Any, dtype: torch.dtype) -> None:
    x = torch.randn(37, 3, generator=torch.Generator().manual_seed(1)) * 3 + 2
    target = torch.zeros(func(x, 0).shape, dtype=dtype)
    try:
        wanted = func(x, 0, out=target.clone())
    except (RuntimeError, NotImplementedError):
        with pytest.raises(RuntimeError):
            func(x.send(bob), 0, out=target.send(bob))
    else:
        assert torch.equal(value(func(x.send(bob), 0, out=target.send(bob))), wanted)


def test_out_without_elements_takes_the_shape_of_the_result(bob: Place) -> None:
    p, out = EYE.send(bob), torch.empty(0, dtype=torch.float64).send(bob)
    assert torch.add(p, p, out=out) is out
    assert out.shape == (3, 3)
    assert torch.equal(value(out), (EYE + EYE).double())


def test_out_of_another_dtype_is_refused_where_the_kernel_refuses_it(bob: Place) -> None:
    p, indices, out = EYE.send(bob), torch.zeros(3, 3, dtype=torch.long).send(bob), EYE.double().send(bob)
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float, but got double"):
        torch.gather(p, 0, indices, out=out)
    assert torch.add(p, p, out=out) is out
