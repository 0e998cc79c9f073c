from __future__ import annotations

import pytest
import torch

from fedzmq.worker.training.gradients import Differentiation


def test_gradients_are_those_of_torch() -> None:
    weight, bias, unused = (torch.randn(3, requires_grad=True) for _ in range(3))
    differentiate = Differentiation([weight, bias, unused])
    for _ in range(2):
        loss = (weight * bias.exp()).sum()
        expected = torch.autograd.grad(loss, [weight, bias, unused], retain_graph=True, allow_unused=True)
        for got, wanted in zip(differentiate(loss), expected, strict=True):
            assert (got is None) is (wanted is None)
            assert got is None or torch.equal(got, wanted)


def test_the_dtype_of_the_loss_may_change() -> None:
    weight = torch.ones(2, requires_grad=True)
    differentiate = Differentiation([weight])
    assert differentiate(weight.sum())[0].dtype is torch.float32  # type: ignore[union-attr]
    assert torch.equal(differentiate(weight.double().sum())[0], torch.ones(2))  # type: ignore[arg-type]


def test_a_loss_of_one_element_and_a_dimension_is_differentiated_too() -> None:
    weight = torch.ones(1, requires_grad=True)
    assert torch.equal(Differentiation([weight])(weight * 2)[0], torch.tensor([2.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", [torch.tensor(1.0), torch.tensor(1), torch.ones(2, requires_grad=True) * 2])
def test_what_has_no_gradient_is_refused_in_torchs_words(loss: torch.Tensor) -> None:
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="grad"):
        Differentiation([weight])(loss)
