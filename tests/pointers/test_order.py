"""How a tensor lies in memory goes along with it."""

from __future__ import annotations

import pytest
import torch

from fedzmq.errors import RemoteError, UsageError
from tests.pointers.loopback import Place

LYING = {
    "in C order": torch.rand(3, 4),
    "transposed": torch.rand(3, 4).t(),
    "of ints": torch.arange(12).reshape(3, 4).t(),
    "conjugated": torch.rand(3, 4, dtype=torch.complex64).mH,
    "in channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "with gaps": torch.rand(4, 3, 2).permute(2, 0, 1)[:, ::2],
    "expanded": torch.rand(1, 4).expand(3, 4),
    "expanded in between": torch.rand(2, 1, 3).expand(2, 5, 3).permute(2, 1, 0),
    "with dimensions of 1": torch.rand(4, 2, 1, 1).permute(3, 1, 2, 0),
    "requiring grad": torch.rand(3, 4).t().requires_grad_(),
}


@pytest.mark.parametrize("tensor", LYING.values(), ids=LYING)
def test_a_tensor_lies_on_a_worker_as_its_copy_lies_here(bob: Place, tensor: torch.Tensor) -> None:
    p = tensor.send(bob)
    stored = bob.line.store.tensors
    bob.stream.flush()
    there = stored[p.id_at_location]
    assert (p.stride(), there.stride()) == (tensor.clone().stride(),) * 2
    assert (there.is_leaf, there.requires_grad, there._is_view(), len(stored)) == (True, tensor.requires_grad, False, 1)


@pytest.mark.parametrize("tensor", LYING.values(), ids=LYING)
def test_a_tensor_comes_home_as_it_lies(bob: Place, alice: Place, tensor: torch.Tensor) -> None:
    home = tensor.send(bob).move(alice).get()
    assert torch.equal(home, tensor)
    assert home.stride() == tensor.clone().stride()


def test_what_lies_otherwise_on_a_worker_comes_home_so(bob: Place) -> None:
    x = torch.rand(3, 4)
    home = x.send(bob).t().get()
    assert torch.equal(home, x.t())
    assert home.stride() == x.t().stride()


def test_a_model_in_channels_last_stays_so(bob: Place) -> None:
    model = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    model.weight.grad = torch.rand_like(model.weight)
    wanted = (model.weight.stride(), model.weight.grad.stride())
    x = torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    model.send(bob)
    assert (model.weight.stride(), model.weight.grad.stride()) == wanted
    assert model(x.send(bob)).is_contiguous(memory_format=torch.channels_last)
    model.get()
    assert (model.weight.stride(), model.weight.grad.stride()) == wanted


def test_a_tensor_travels_with_as_many_dimensions_as_kernels_take(bob: Place) -> None:
    x = torch.rand([1] * 62 + [2, 3])
    p = x.send(bob)
    with pytest.raises(UsageError, match="65 dimensions"):
        x[None].send(bob)
    with pytest.raises(RemoteError, match="65 dimensions"):
        p[None].get()
    assert torch.equal(p.get(), x)


def test_a_conjugate_is_a_view_until_it_is_resolved(bob: Place) -> None:
    z = torch.tensor([1 + 2j, 3 - 1j])
    p = z.send(bob)
    assert (p.conj().is_conj(), p.conj().imag.is_neg(), p.is_conj(), p.conj().conj().is_conj()) == (
        True,
        True,
        False,
        False,
    )
    p.conj().resolve_conj().add_(1)
    p.conj().imag.resolve_neg().add_(1)
    assert torch.equal(p.copy().get(), z)
    p.conj().add_(1j)
    assert torch.equal(p.copy().get(), z - 1j)


def test_what_takes_no_conjugate_says_so_at_once(bob: Place) -> None:
    with pytest.raises(RuntimeError, match="unresolved conjugated"):
        torch.view_as_real(torch.ones(2, dtype=torch.complex64).send(bob).conj())
