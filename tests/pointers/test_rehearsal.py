from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from fedzmq.errors import RemoteError
from tests.pointers.loopback import Place

WRONG: dict[str, Callable[[Callable[[torch.Tensor], torch.Tensor]], object]] = {
    "amax": lambda sent: sent(torch.ones(5, 0)).amax(1),
    "cat": lambda sent: torch.cat([sent(torch.ones(())), sent(torch.ones(()))]),
    "complex": lambda sent: torch.complex(sent(torch.ones(2)), sent(torch.ones(2, dtype=torch.int32))),
    "embedding": lambda sent: F.embedding(sent(torch.zeros(2, dtype=torch.long)), sent(torch.ones(()))),
    "fractional_max_pool3d": lambda sent: F.fractional_max_pool3d(
        sent(torch.ones(1, 2, 5, 5, 5)), 2, 2, _random_samples=sent(torch.ones(1, 2, 3, dtype=torch.float64))
    ),
    "gaussian_nll_loss": lambda sent: F.gaussian_nll_loss(*[sent(torch.ones(2, n)) for n in (3, 3, 2)]),
    "index_add": lambda sent: sent(torch.ones(3, 2)).index_add(
        0, sent(torch.zeros(2, dtype=torch.long)), sent(torch.ones(2))
    ),
    "ldexp_": lambda sent: sent(torch.ones(2, dtype=torch.int16)).ldexp_(sent(torch.ones(2, dtype=torch.int16))),
    "logit_": lambda sent: sent(torch.ones(2, dtype=torch.int16)).logit_(),
    "lstsq": lambda sent: torch.linalg.lstsq(sent(torch.ones(())), sent(torch.ones(()))),
    "masked_scatter": lambda sent: sent(torch.ones(2)).masked_scatter(
        sent(torch.ones(2, dtype=torch.uint8)), sent(torch.ones(2))
    ),
    "matmul": lambda sent: sent(torch.ones(2, 3)) @ sent(torch.ones(2, 3)),
    "multinomial": lambda sent: sent(torch.ones(2, dtype=torch.long)).multinomial(1),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes_and_dtypes_raise_at_once_what_torch_raises(bob: Place, name: str) -> None:
    with pytest.raises((RuntimeError, IndexError, ValueError)) as here:
        WRONG[name](lambda tensor: tensor)
    with pytest.raises(here.type) as there:
        WRONG[name](lambda tensor: tensor.send(bob))
    assert str(there.value) == str(here.value)
    bob.stream.sync()


def test_an_error_that_values_cause_stays_the_workers(bob: Place) -> None:
    with pytest.raises(RemoteError, match="fweights cannot be negative"):
        torch.ones(3).send(bob).cov(fweights=torch.tensor([-1, -2, -3]).send(bob))


def test_a_rehearsal_draws_nothing_from_the_programs_own_generator(bob: Place) -> None:
    before = torch.get_rng_state()
    torch.ones(4).send(bob).multinomial(2)
    with pytest.raises(RuntimeError):
        torch.ones(4, dtype=torch.long).send(bob).multinomial(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_loss_of_a_single_example_has_the_shape_of_the_kernels(bob: Place) -> None:
    value, target = torch.ones(3).send(bob), torch.tensor([0, -1, 1]).send(bob)
    assert F.multilabel_margin_loss(value, target, reduction="none").shape == ()


@pytest.mark.parametrize("call", [lambda p: torch.vander(p, 10**11), lambda p: torch.linalg.vander(p, N=10**11)])
def test_a_call_that_asks_for_too_much_is_not_tried_here(bob: Place, call: Callable[..., object]) -> None:
    def called() -> None:
        call(torch.ones(10).send(bob))
        bob.stream.sync()

    with pytest.raises((RuntimeError, RemoteError)) as found:
        called()
    assert "allocate" not in str(found.value)
