"""One batch that fails on a worker: it is told once, and costs no more than itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

import fedzmq


@pytest.fixture
def bob() -> Iterator[fedzmq.VirtualWorker]:
    hook = fedzmq.TorchHook(torch)
    yield fedzmq.VirtualWorker(hook, id="bob")
    hook.close()


def step(model: nn.Module, optimizer: torch.optim.Optimizer, bob: fedzmq.VirtualWorker, label: int) -> torch.Tensor:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.ones(1, 2).send(bob)), torch.tensor([label]).send(bob))
    loss.backward()
    optimizer.step()
    return loss


def test_a_bad_label_is_told_once_and_leaves_the_weights_as_they_were(bob: fedzmq.VirtualWorker) -> None:
    model = nn.Linear(2, 3).send(bob)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, optimizer, bob, label=0).get()
    before = model.weight.copy().get()
    loss = step(model, optimizer, bob, label=3)
    with pytest.raises(fedzmq.RemoteError, match="out of bounds"):
        loss.get()
    assert torch.equal(model.weight.copy().get(), before)
    assert step(model, optimizer, bob, label=1).get().isfinite()


def test_a_step_that_did_not_happen_is_not_passed_over_in_silence(bob: fedzmq.VirtualWorker) -> None:
    model = nn.Linear(2, 3).send(bob)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, optimizer, bob, label=3)
    with pytest.raises(fedzmq.RemoteError, match="out of bounds"):
        model.weight.copy().get()
    assert model.weight.copy().get().shape == (3, 2)
