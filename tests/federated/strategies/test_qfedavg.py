from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from fedzmq.errors import UpdateRefused, UsageError
from fedzmq.federated.strategies.qfedavg import QFedAvg
from fedzmq.federated.training_job import TrainingJob
from tests.federated.strategies.federation import Federation, Update, after, one_weight, parabola, randoms

MANY_AND_ONE = {"alice": parabola(1.0, 0.0), "bob": parabola(1.0, 0.0), "carol": parabola(1.0, 4.0)}


@pytest.mark.parametrize("q", [0.0, 0.5, 2.0])
def test_the_step_follows_the_papers_formula(q: float) -> None:
    strategy = QFedAvg(q=q)
    strategy.check(TrainingJob("data", options={"lr": 0.25}))
    old, *states = randoms(4, (3, 2), (4,))
    losses = [0.5, 2.0, 3.0]
    updates = {
        name: Update(state, 1, metrics={"loss_before": loss})
        for name, state, loss in zip("xyz", states, losses, strict=True)
    }
    new = after(strategy, dict(zip("ab", old, strict=True)), updates)

    steps: list[list[Tensor]] = []
    divisor = 0.0
    for state, loss in zip(states, losses, strict=True):
        way = [4 * (a.double() - b) for a, b in zip(old, state, strict=True)]
        square = float(sum(each.square().sum() for each in way))
        steps.append([loss**q * each for each in way])
        divisor += q * loss ** (q - 1) * square + 4 * loss**q
    for place, name in enumerate("ab"):
        expected = old[place].double() - sum(step[place] for step in steps) / divisor
        torch.testing.assert_close(new[name], expected, check_dtype=False)


def test_the_worst_off_worker_gains_the_more_the_greater_q_is() -> None:
    weights = [
        Federation(QFedAvg(q=q), one_weight(), mse_loss, MANY_AND_ONE, rounds=60, epochs=1).weight for q in (0, 1, 4)
    ]

    assert weights[0] == pytest.approx(4 / 3, abs=0.02)  # the mean, which is best for most
    assert weights[0] < weights[1] < weights[2] < 2.02  # and the middle, which is best for the worst off


@pytest.mark.parametrize("metrics", [{}, {"loss_before": -0.5}, {"loss_before": math.nan}])
def test_an_update_without_a_loss_is_refused(metrics: dict[str, float]) -> None:
    with pytest.raises(UpdateRefused, match="its loss before training is"):
        QFedAvg().accept(Update([], 1, metrics=metrics).answer())


def test_without_a_learning_rate_it_asks_for_lipschitz() -> None:
    with pytest.raises(UsageError, match="q-FedAvg needs 'lipschitz', or a job with a positive 'lr'"):
        QFedAvg().check(TrainingJob("data"))
