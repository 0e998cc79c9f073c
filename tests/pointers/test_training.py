"""Training on a worker with torch's own optimizers gives what training here gives."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn, optim

from tests.pointers.loopback import Place
from tests.pointers.models import IMAGES, LABELS, MakeOptimizer, X, Y, assert_same, cnn, mlp, sent, train

OPTIMIZERS: dict[str, MakeOptimizer] = {
    "sgd": lambda p: optim.SGD(p, 0.1),
    "sgd, momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "sgd, foreach": lambda p: optim.SGD(p, 0.1, momentum=0.9, foreach=True),
    "sgd, fused": lambda p: optim.SGD(p, 0.1, momentum=0.9, fused=True),
    "adam": lambda p: optim.Adam(p, 1e-2),
    "adam, foreach": lambda p: optim.Adam(p, 1e-2, foreach=True),
    "adam, fused": lambda p: optim.Adam(p, 1e-2, fused=True),
    "adam, amsgrad": lambda p: optim.Adam(p, 1e-2, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 1e-2),
    "rmsprop": lambda p: optim.RMSprop(p, 1e-2, momentum=0.9, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, 1e-2),
    "adadelta": optim.Adadelta,
    "adamax": optim.Adamax,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "asgd": optim.ASGD,
    "asgd, foreach": lambda p: optim.ASGD(p, foreach=True),
    "rprop": optim.Rprop,
    "lbfgs": optim.LBFGS,
    "lbfgs, with a line search": lambda p: optim.LBFGS(p, line_search_fn="strong_wolfe"),
    "adafactor": optim.Adafactor,
    "muon": lambda p: optim.Muon([each for each in p if each.dim() == 2]),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps_of_an_optimizer_are_those_of_a_local_run(bob: Place, name: str) -> None:
    make = OPTIMIZERS[name]
    local = mlp()
    expected = train(local, make(local.parameters()))
    remote = mlp().send(bob)
    loss = train(remote, make(remote.parameters()), *sent(bob, X, Y))
    torch.testing.assert_close(loss.get(), expected)
    assert_same(remote, local, 1e-4)


def test_an_optimizer_built_before_the_model_was_sent_trains_it(bob: Place) -> None:
    local, remote = mlp(), mlp()
    train(local, optim.SGD(local.parameters(), 0.1, momentum=0.9))
    optimizer = optim.SGD(remote.parameters(), 0.1, momentum=0.9)
    remote.send(bob)
    train(remote, optimizer, *sent(bob, X, Y))
    assert_same(remote, local)


def test_a_model_that_came_home_trains_on_with_the_same_optimizer(bob: Place) -> None:
    local, remote = mlp(), mlp()
    train(local, optim.SGD(local.parameters(), 0.1), steps=4)
    optimizer = optim.SGD(remote.parameters(), 0.1)
    train(remote.send(bob), optimizer, *sent(bob, X, Y), steps=2)
    train(remote.get(), optimizer, steps=2)
    assert_same(remote, local)


@pytest.mark.parametrize("name", ["sgd, momentum", "adam", "adagrad", "adafactor", "asgd", "lbfgs"])
def test_what_an_optimizer_remembers_follows_the_model(bob: Place, alice: Place, name: str) -> None:
    local, remote = mlp(), mlp()
    ours, optimizer = OPTIMIZERS[name](local.parameters()), OPTIMIZERS[name](remote.parameters())
    train(local, ours, steps=8)
    train(remote, optimizer, steps=2)
    train(remote.send(bob), optimizer, *sent(bob, X, Y), steps=2)
    train(remote.move(alice), optimizer, *sent(alice, X, Y), steps=2)
    bob.line.store.tensors.clear()  # whatever was left there would be missed now
    train(remote.get(), optimizer, steps=2)
    assert_same(remote, local, 1e-4)


def test_the_state_of_a_model_that_came_home_can_be_saved(bob: Place) -> None:
    model = mlp().send(bob)
    optimizer = optim.Adam(model.parameters(), 1e-2)
    train(model, optimizer, *sent(bob, X, Y), steps=1)
    model.get()
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    saved.seek(0)
    assert type(torch.load(saved)["state"][0]["exp_avg"]) is torch.Tensor


def test_averages_of_a_model_are_those_of_a_local_one(bob: Place) -> None:
    averages = []
    for model, (x, y) in ((mlp(), (X, Y)), (mlp().send(bob), sent(bob, X, Y))):
        average = optim.swa_utils.AveragedModel(model)
        optimizer = optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            train(model, optimizer, x, y, steps=1)
            average.update_parameters(model)
        averages.append(average.module)
    assert_same(averages[1], averages[0])


def test_batch_statistics_without_a_momentum_are_plain_means(bob: Place) -> None:
    local, remote = nn.BatchNorm1d(8, momentum=None), nn.BatchNorm1d(8, momentum=None).send(bob)
    for _ in range(3):
        local(X), remote(X.send(bob))
    assert_same(remote, local)


def test_every_initialiser_fills_a_parameter_there(bob: Place) -> None:
    for name in ("normal_", "uniform_", "trunc_normal_", "orthogonal_", "kaiming_normal_", "xavier_uniform_"):
        p = nn.Parameter(torch.zeros(4, 4).send(bob))
        getattr(nn.init, name)(p)
        assert p.get().detach().abs().sum() > 0


def test_a_convolutional_network_trains_with_its_batch_statistics(bob: Place) -> None:
    local, remote = cnn(), cnn().send(bob)
    train(local, optim.SGD(local.parameters(), 0.1), IMAGES, LABELS)
    train(remote, optim.SGD(remote.parameters(), 0.1), *sent(bob, IMAGES, LABELS))
    assert_same(remote, local, 1e-4)
    local.eval(), remote.eval()
    torch.testing.assert_close(remote(IMAGES.send(bob)).get(), local(IMAGES).detach(), rtol=1e-4, atol=1e-4)


def test_batches_cut_from_a_tensor_there_train_like_batches_here(bob: Place) -> None:
    local, remote = mlp(), mlp().send(bob)
    ours, theirs = optim.SGD(local.parameters(), 0.1), optim.SGD(remote.parameters(), 0.1)
    x, y = sent(bob, X, Y)
    for start in range(0, 16, 4):
        train(local, ours, X[start : start + 4], Y[start : start + 4], steps=1)
        train(remote, theirs, x[start : start + 4], y[start : start + 4], steps=1)
    assert_same(remote, local)


def test_a_recurrent_network_trains_and_comes_home(bob: Place) -> None:
    local = nn.LSTM(5, 7)
    remote = copy.deepcopy(local).send(bob)
    x = torch.randn(3, 2, 5)
    expected, (hidden, _) = local(x)
    output, (there, _) = remote(x.send(bob))
    torch.testing.assert_close(there.get(), hidden.detach())
    expected.sum().backward()
    output.sum().backward()
    torch.testing.assert_close(remote.weight_ih_l0.grad.get(), local.weight_ih_l0.grad)
    remote.get()
    torch.testing.assert_close(remote(x)[0], expected)


def test_attention_trains(bob: Place) -> None:
    local = nn.Sequential(nn.Embedding(20, 16), nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True))
    remote = copy.deepcopy(local).send(bob)
    words = torch.randint(0, 20, (4, 7))
    local(words).pow(2).sum().backward()
    remote(words.send(bob)).pow(2).sum().backward()
    for ours, theirs in zip(local.parameters(), remote.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad.get(), ours.grad, rtol=1e-3, atol=1e-4)


def test_a_scheduler_changes_the_learning_rate_of_later_steps(bob: Place) -> None:
    models = mlp(), mlp().send(bob)
    for model, (x, y) in zip(models, [(X, Y), sent(bob, X, Y)], strict=True):
        optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 0.3}, {"params": model[2].parameters()}], 0.1)
        scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            train(model, optimizer, x, y, steps=1)
            scheduler.step()
    assert_same(models[1], models[0])


def test_clipping_a_norm_needs_no_round_trip(bob: Place) -> None:
    local, remote = mlp(), mlp().send(bob)
    x, y = sent(bob, X, Y)
    nn.functional.cross_entropy(local(X), Y).backward()
    nn.functional.cross_entropy(remote(x), y).backward()
    norm = nn.utils.clip_grad_norm_(local.parameters(), 0.1)
    there = nn.utils.clip_grad_norm_(remote.parameters(), 0.1)
    assert bob.line._requests == 0
    torch.testing.assert_close(there.get(), norm)
    torch.testing.assert_close(remote[0].weight.grad.get(), local[0].weight.grad)


def test_clipping_values_and_zeroing_in_place_work(bob: Place) -> None:
    model = mlp().send(bob)
    optimizer = optim.SGD(model.parameters(), 0.1)
    train(model, optimizer, *sent(bob, X, Y), steps=1)
    nn.utils.clip_grad_value_(model.parameters(), 0.01)
    assert model[0].weight.grad.get().abs().max() <= 0.01
    optimizer.zero_grad(set_to_none=False)
    assert model[0].weight.grad.get().abs().sum() == 0


def test_the_state_of_an_optimizer_is_on_the_worker_and_can_be_loaded_there(bob: Place) -> None:
    model = mlp().send(bob)
    optimizer = optim.Adam(model.parameters(), 1e-2)
    train(model, optimizer, *sent(bob, X, Y), steps=1)
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(state)
    assert optimizer.state[model[0].weight]["exp_avg"].location is bob
    train(model, optimizer, *sent(bob, X, Y), steps=1)
    bob.stream.sync()


def test_autocast_reaches_the_worker(bob: Place) -> None:
    model = mlp().send(bob)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(X.send(bob))
    assert output.dtype is torch.bfloat16
    assert output.get().dtype is torch.bfloat16
    assert model(X.send(bob)).get().dtype is torch.float32


def test_training_leaves_nothing_behind_on_the_worker(bob: Place) -> None:
    model = mlp().send(bob)
    optimizer = optim.SGD(model.parameters(), 0.1)
    x, y = sent(bob, X, Y)
    train(model, optimizer, x, y, steps=1)
    optimizer.zero_grad()
    before = bob.stored
    train(model, optimizer, x, y, steps=20)
    optimizer.zero_grad()
    assert bob.stored == before


def test_the_momentum_of_a_parameter_without_dimensions_follows_it(bob: Place) -> None:
    def stepped(parameter: nn.Parameter, optimizer: optim.Optimizer) -> None:
        optimizer.zero_grad()
        (parameter * parameter).backward()
        optimizer.step()

    local, remote = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(2.0))
    here, there = optim.SGD([local], 0.1, momentum=0.9), optim.SGD([remote], 0.1, momentum=0.9)
    stepped(local, here)
    stepped(remote, there)
    remote.send_(bob)
    stepped(local, here)
    stepped(remote, there)
    torch.testing.assert_close(remote.get().detach(), local.detach())
