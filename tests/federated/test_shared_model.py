from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.fedbn import FedBN
from fedzmq.federated.updates.aggregator import Aggregator
from tests.federated.strategies.federation import fold


class Keeps(Strategy):
    def personal(self, model: nn.Module) -> Sequence[str]:
        return ["weight", "head"]


class Fails(Strategy):
    def step(self, name: str, old: Tensor, mean: Tensor) -> Tensor:
        if name == "bias":
            raise RuntimeError("not this one")
        return mean


class InPlace(Strategy):
    def step(self, name: str, old: Tensor, mean: Tensor) -> Tensor:
        return mean.mul_(float("nan"))


class Makes(Strategy):
    """The same of every tensor."""

    def __init__(self, new: Any) -> None:
        self._new = new

    def step(self, name: str, old: Tensor, mean: Tensor) -> Tensor:
        return self._new  # type: ignore[no-any-return]


def of_one(*state: Tensor) -> Aggregator:
    aggregator = Aggregator([Answer("bob", 1, 0.0, 0.0)])
    aggregator.open(state)
    fold(aggregator, {"bob": state})
    return aggregator


def test_a_step_that_fails_leaves_the_model_as_it_was() -> None:
    module = nn.Linear(2, 1)
    before = module.weight.detach().clone()
    with pytest.raises(RuntimeError, match="not this one"):
        SharedModel(module, b"", Fails()).step(of_one(torch.ones(1, 2), torch.ones(1)))

    assert torch.equal(module.weight, before)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (None, "the step of the strategy Makes makes None of 'weight', and a tensor is expected"),
        (torch.ones(()), r"makes the shape \(\) of 'weight', which has \(1, 2\)"),
        (torch.tensor([[1.0, float("nan")]]), "makes NaN or infinity of 'weight'"),
        (torch.tensor([[1.0, 7e4]]), "more than torch.float16 can hold"),
    ],
)
def test_a_step_to_what_is_no_value_of_the_tensor_is_refused(new: Any, reason: str) -> None:
    module = nn.Linear(2, 1).half()
    before = module.weight.detach().clone()
    with pytest.raises(UsageError, match=reason):
        SharedModel(module, b"", Makes(new)).step(of_one(torch.ones(1, 2).half(), torch.ones(1).half()))

    assert torch.equal(module.weight, before)


def test_a_mean_that_is_changed_in_place_is_looked_at_too() -> None:
    with pytest.raises(UsageError, match="the step of the strategy InPlace makes NaN or infinity of 'weight'"):
        SharedModel(nn.Linear(2, 1), b"", InPlace()).step(of_one(torch.ones(1, 2), torch.ones(1)))


def test_what_is_personal_is_left_out_of_the_opening_and_of_what_travels_back() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    module[1].bias.requires_grad_(False)
    shared = SharedModel(module, b"", FedBN())
    opening = shared.opening(1, ["bob"], 3)

    assert list(opening.state) == ["1.weight", "1.bias"]
    assert opening.trained == ("1.weight",)
    assert [shared.form.names[place] for place in shared.form.places] == ["1.weight", "1.bias"]


def test_a_step_changes_what_is_shared_in_place() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    weight = module[1].weight
    SharedModel(module, b"", FedBN()).step(of_one(torch.full((1, 2), 5.0), torch.zeros(1)))

    assert module[1].weight is weight
    assert weight.tolist() == [[5.0, 5.0]]
    assert module[0].weight.tolist() == [1.0, 1.0]


def test_a_strategy_that_keeps_what_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="'head' is to stay on the workers, and the model has no such parameter"):
        SharedModel(nn.Linear(2, 1), b"", Keeps())
