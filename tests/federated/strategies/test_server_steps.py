"""FedAvgM and the adaptive optimizers, against torch's own optimizers and plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fedzmq.data.data import Data
from fedzmq.errors import UsageError
from fedzmq.federated.strategies import Strategy, by_name
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.fedavgm import FedAvgM
from fedzmq.federated.strategies.fedopt import FedAdagrad, FedAdam, FedYogi
from tests.federated.strategies.federation import Federation, Update, after, one_weight, parabola, randoms

SHAPES = ((3, 2), (4,))


def rounds(strategy: Strategy, count: int = 4) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The model after so many rounds, and of each round the mean of what two workers answered."""
    model = {"a": torch.zeros(3, 2), "b": torch.ones(4)}
    means = []
    for number in range(1, count + 1):
        one, other = randoms(2, *SHAPES, seed=number)
        means.append([(a.double() * 1 + b.double() * 3) / 4 for a, b in zip(one, other, strict=True)])
        model = after(strategy, model, {"x": Update(one, 1), "y": Update(other, 3)}, number=number)
    return list(model.values()), means


def plainly(means: list[list[Tensor]], step: Callable[[int, Tensor, Tensor], Tensor]) -> list[Tensor]:
    model = [torch.zeros(3, 2).double(), torch.ones(4).double()]
    for mean in means:
        model = [step(place, old, new - old) for place, (old, new) in enumerate(zip(model, mean, strict=True))]
    return model


def test_averaging_gives_the_mean() -> None:
    model, means = rounds(FedAvg())

    torch.testing.assert_close(model, means[-1], check_dtype=False)


def test_momentum_is_that_of_torchs_sgd() -> None:
    model, means = rounds(FedAvgM(momentum=0.7, lr=0.5))

    parameters = [nn.Parameter(torch.zeros(3, 2).double()), nn.Parameter(torch.ones(4).double())]
    optimizer = torch.optim.SGD(parameters, lr=0.5, momentum=0.7)
    for mean in means:
        for parameter, new in zip(parameters, mean, strict=True):
            parameter.grad = parameter.detach() - new
        optimizer.step()
    torch.testing.assert_close(model, [each.detach() for each in parameters])


def test_without_momentum_it_is_averaging() -> None:
    model, means = rounds(FedAvgM(momentum=0, lr=1))

    torch.testing.assert_close(model, means[-1], check_dtype=False)


@pytest.mark.parametrize("initial", [0.0, 0.1])
@pytest.mark.parametrize("name", ["fedadagrad", "fedadam", "fedyogi"])
def test_an_adaptive_optimizer_follows_its_formula(name: str, initial: float) -> None:
    model, means = rounds(by_name(name, lr=0.3, beta1=0.6, tau=0.05, initial=initial))
    m, v = [0.0, 0.0], [initial or 0.05**2] * 2

    def step(place: int, old: Tensor, way: Tensor) -> Tensor:
        m[place] = 0.6 * m[place] + 0.4 * way
        if name == "fedadagrad":
            v[place] = v[place] + way**2
        elif name == "fedadam":
            v[place] = 0.99 * v[place] + 0.01 * way**2
        else:
            v[place] = v[place] - 0.01 * way**2 * torch.sign(v[place] - way**2)
        return old + 0.3 * m[place] / (v[place] ** 0.5 + 0.05)

    torch.testing.assert_close(model, plainly(means, step))


@pytest.mark.parametrize("name", ["fedavgm", "fedadagrad", "fedadam", "fedyogi"])
def test_a_complex_number_is_two(name: str) -> None:
    real, complexes = by_name(name), by_name(name)
    pairs, whole = torch.zeros(3, 2), torch.zeros(3, dtype=torch.complex64)
    for seed in range(3):
        ((one,),) = randoms(1, (3, 2), seed=seed)
        pairs = after(real, {"a": pairs}, {"x": Update([one], 1)})["a"].float()
        whole = after(complexes, {"a": whole}, {"x": Update([torch.view_as_complex(one)], 1)})["a"].cfloat()

    torch.testing.assert_close(torch.view_as_real(whole), pairs)


def test_what_is_not_trained_becomes_the_mean() -> None:
    old = {"weight": torch.zeros(2), "running_mean": torch.zeros(2)}
    update = Update([torch.ones(2), torch.ones(2)], 5)

    new = after(FedAdam(lr=0.1), old, {"x": update}, trained=["weight"])

    assert torch.equal(new["running_mean"], torch.ones(2).double())
    assert not torch.equal(new["weight"], torch.ones(2).double())


def test_what_is_remembered_is_in_the_memory() -> None:
    strategy, again = FedYogi(), FedYogi()
    old, (one, other) = {"a": torch.zeros(3)}, randoms(2, (3,))
    after(strategy, old, {"x": Update(one, 1)})
    again.memory.update({name: each.clone() for name, each in strategy.memory.items()})

    assert torch.equal(
        after(strategy, old, {"x": Update(other, 1)})["a"], after(again, old, {"x": Update(other, 1)})["a"]
    )


def test_momentum_gets_further_in_as_many_short_rounds() -> None:
    parts = {"alice": parabola(1.0, 4.0), "bob": parabola(0.5, 4.0)}
    job = {"rounds": 18, "epochs": 1, "options": {"lr": 0.01}}
    plain = Federation(FedAvg(), one_weight(), mse_loss, parts, **job)
    with_momentum = Federation(FedAvgM(momentum=0.8), one_weight(), mse_loss, parts, **job)

    assert abs(with_momentum.weight - 4) < abs(plain.weight - 4) / 2


@pytest.mark.parametrize("strategy", [FedAdagrad(lr=0.5), FedAdam(lr=0.3), FedYogi(lr=0.3)])
def test_adaptive_steps_learn_from_a_rare_feature(strategy: Strategy) -> None:
    """The second feature is a hundredth as strong as the first, and plain averaging has hardly seen it."""
    features = torch.tensor([[1.0, 0.0], [0.0, 0.1]])
    parts = {
        name: Data("data", features, features @ torch.tensor([[1.0], [way]]), None)
        for name, way in (("alice", 1.0), ("bob", 3.0))
    }
    module = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(module.weight)
    plain, adaptive = (
        Federation(each, module, mse_loss, parts, rounds=25, options={"lr": 0.1}).model.weight.detach()[0, 1]
        for each in (FedAvg(), strategy)
    )

    assert abs(float(adaptive) - 2) < abs(float(plain) - 2) / 2


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: FedAvgM(momentum=1.0), "momentum is 1, and a number from 0 to below 1 is needed"),
        (lambda: FedAvgM(lr=0.0), "lr is 0, and a number above 0 is needed"),
        (lambda: FedAdam(tau=float("nan")), "tau is nan, and a number above 0 is needed"),
        (lambda: FedYogi(beta2=-0.1), "beta2 is -0.1, and a number from 0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(make: Callable[[], Strategy], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make()
