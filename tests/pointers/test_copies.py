from __future__ import annotations

import gc

import pytest
import torch
from torch import nn, optim

from fedzmq.errors import ModelError
from fedzmq.pointers.pointer import Pointer
from tests.pointers.loopback import Place
from tests.pointers.models import MakeOptimizer, X, Y, assert_same, mlp, sent, train

SHARED: dict[str, MakeOptimizer] = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, 1e-2),
    "adamw": lambda p: optim.AdamW(p, 1e-2),
    "adagrad": lambda p: optim.Adagrad(p, 1e-2),
}


@pytest.mark.parametrize("name", SHARED)
def test_an_optimizer_over_a_model_drives_its_copies_each_with_state_of_its_own(
    bob: Place, alice: Place, name: str
) -> None:
    model = mlp()
    optimizer = SHARED[name](model.parameters())
    for place, part in ((bob, slice(0, 8)), (alice, slice(8, 16))):
        remote, local = model.copy().send(place), mlp()
        train(remote, optimizer, *sent(place, X[part], Y[part]), steps=3)
        train(local, SHARED[name](local.parameters()), X[part], Y[part], steps=3)
        assert_same(remote, local)
        optimizer.zero_grad()
    assert_same_here(model, mlp())


def test_the_copies_follow_the_learning_rate_of_now(bob: Place) -> None:
    model, local = mlp(), mlp()
    for target, optimizer, data in (
        (model.copy().send(bob), optim.SGD(model.parameters(), 0.1), sent(bob, X, Y)),
        (local, optim.SGD(local.parameters(), 0.1), [X, Y]),
    ):
        scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        for _ in range(3):
            train(target, optimizer, *data, steps=1)
            scheduler.step()
        if target is not local:
            remote = target
    assert_same(remote, local)


def test_a_copy_with_an_optimizer_of_its_own_is_not_stepped_twice(bob: Place) -> None:
    model, local = mlp(), mlp()
    shared = optim.SGD(model.parameters(), 0.1)
    remote = model.copy().send(bob)
    own = optim.SGD(remote.parameters(), 0.1)
    loss = nn.functional.cross_entropy(remote(X.send(bob)), Y.send(bob))
    loss.backward()
    shared.step()
    own.step()
    train(local, optim.SGD(local.parameters(), 0.1), steps=1)
    assert_same(remote, local)


def test_a_copy_in_this_process_is_left_alone() -> None:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.1)
    local = model.copy()
    nn.functional.cross_entropy(local(X), Y).backward()
    optimizer.step()
    assert_same_here(local, mlp())
    optimizer.zero_grad()
    assert local[0].weight.grad is not None


def test_a_copy_that_came_home_is_driven_no_longer(bob: Place) -> None:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.1)
    remote = model.copy().send(bob)
    train(remote, optimizer, *sent(bob, X, Y), steps=1)
    before = {name: value.clone() for name, value in remote.get().state_dict().items()}
    optimizer.step()
    for name, value in remote.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_copy_of_a_remote_model_is_a_real_copy(bob: Place) -> None:
    model = mlp().send(bob)
    second = model.copy()
    assert isinstance(second[0].weight, Pointer)
    assert isinstance(second[0].weight, nn.Parameter)
    second.get()
    torch.testing.assert_close(model(X.send(bob)).get(), mlp()(X).detach())


def test_a_copy_that_is_dropped_is_forgotten(bob: Place) -> None:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9)
    remote = model.copy().send(bob)
    train(remote, optimizer, *sent(bob, X, Y), steps=1)
    del remote
    gc.collect()
    assert bob.stored == 0


def test_an_optimizer_that_cannot_be_built_twice_says_so(bob: Place) -> None:
    class Odd(optim.SGD):
        def __init__(self, parameters: object, secret: int) -> None:
            super().__init__(parameters, lr=0.1)

    model = mlp()
    optimizer = Odd(model.parameters(), secret=1)
    remote = model.copy().send(bob)
    nn.functional.cross_entropy(remote(X.send(bob)), Y.send(bob)).backward()
    with pytest.raises(ModelError, match="the copy's own parameters"):
        optimizer.step()


def assert_same_here(model: nn.Module, expected: nn.Module) -> None:
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
