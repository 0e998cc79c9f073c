"""A strategy of the user's own is a small class."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from fedzmq.federated.report import Answer
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.fedavg import FedAvg
from tests.federated.strategies.federation import Federation, Update, after, one_weight, parabola, randoms


class Cautious(Strategy):
    """Workers whose loss is high count for less, and the model goes half of the way to the mean."""

    def weigh(self, answer: Answer) -> float:
        return answer.examples / (1 + answer.loss)

    def step(self, name: str, old: Tensor, mean: Tensor) -> Tensor:
        return old + 0.5 * (mean - old)


def test_it_says_how_much_an_answer_counts_and_how_far_the_model_goes() -> None:
    old, one, other = randoms(3, (3,))
    new = after(Cautious(), {"a": old[0]}, {"x": Update(one, 10, loss=1.0), "y": Update(other, 10, loss=4.0)})

    mean = (one[0].double() * 5 + other[0].double() * 2) / 7
    torch.testing.assert_close(new["a"], (old[0].double() + mean) / 2, check_dtype=False)


def test_it_trains() -> None:
    parts = {"alice": parabola(1.0, 2.0), "bob": parabola(1.0, 4.0)}

    assert Federation(Cautious(), one_weight(), mse_loss, parts).weight == pytest.approx(3.0, abs=0.3)


def test_one_that_overrides_nothing_is_averaging_to_the_bit() -> None:
    parts = {"alice": parabola(1.0, 2.0), "bob": parabola(0.3, 4.0, rows=9)}
    one, other = (Federation(each, one_weight(), mse_loss, parts, rounds=3).weight for each in (Strategy(), FedAvg()))

    assert one == other
