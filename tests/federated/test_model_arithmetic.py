from __future__ import annotations

import pytest
import torch
from torch import nn

from fedzmq.errors import ModelError
from fedzmq.federated.model_arithmetic import accuracy, add_model, federated_avg, scale_model
from fedzmq.pointers.modules import send_module
from tests.pointers.conftest import alice, bob, effects
from tests.pointers.loopback import Place

__all__ = ["alice", "bob", "effects"]


def filled(value: float) -> nn.Linear:
    return filled_with(nn.Linear(2, 3), value)


def filled_with(model: nn.Linear, value: float) -> nn.Linear:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def values(model: nn.Module) -> set[float]:
    return {float(each) for parameter in model.parameters() for each in parameter.detach().flatten()}


class Odd(nn.Module):
    """Its constructor has arguments, and it has buffers."""

    def __init__(self, width: int, *, mean: float, seen: int) -> None:
        super().__init__()
        self.layer = filled_with(nn.Linear(width, 1), 1.0)
        self.register_buffer("mean", torch.tensor([mean]))
        self.register_buffer("seen", torch.tensor(seen))


def test_the_mean_of_twos_and_fours_is_exactly_three_and_they_stay() -> None:
    models = {"bob": filled(2), "alice": filled(4)}
    assert values(federated_avg(models)) == {3.0}
    assert [values(model) for model in models.values()] == [{2.0}, {4.0}]


def test_buffers_are_averaged_whatever_the_constructor_takes() -> None:
    mean = federated_avg([Odd(3, mean=1.0, seen=2), Odd(3, mean=2.0, seen=5)])
    assert type(mean) is Odd
    assert mean.get_buffer("mean").tolist() == [1.5]
    assert mean.get_buffer("seen").item() == 4
    assert mean.get_buffer("seen").dtype is torch.int64


def test_models_on_workers_are_averaged_here_and_stay_there(bob: Place, alice: Place) -> None:
    models = [send_module(filled(2), bob), send_module(filled(4), alice)]
    assert values(federated_avg(models)) == {3.0}
    assert [model.location for model in models] == [bob, alice]


def test_models_of_different_form_have_no_mean() -> None:
    with pytest.raises(ModelError, match="'weight' does not have one form in all of the models"):
        federated_avg([nn.Linear(2, 3), nn.Linear(3, 3)])
    with pytest.raises(ModelError, match="there are no models to average"):
        federated_avg({})


def test_models_are_added_and_scaled_in_place() -> None:
    model = filled(2)
    assert add_model(model, filled(3)) is model
    assert values(model) == {5.0}
    assert scale_model(model, 0.5) is model
    assert values(model) == {2.5}


def test_accuracy_is_the_share_of_right_guesses() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])
    assert accuracy(scores, torch.tensor([1, 0, 0])) == 1.0
    assert accuracy(scores, torch.tensor([[1], [1], [1]])) == pytest.approx(1 / 3)
