"""Models as people write them train as plans to what a plain loop makes of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn, optim

from fedzmq.data.data import Data
from fedzmq.errors import PlanError
from fedzmq.recording.training_plan import training_plan
from tests.recording.choices import CHOICES
from tests.recording.differentiating import DIFFERENTIATING
from tests.recording.own_backwards import OWN_BACKWARDS
from tests.recording.packed import PACKED
from tests.recording.precision import PRECISION
from tests.recording.recorded import Recorded
from tests.recording.sizes import SIZES
from tests.recording.zoo import ZOO
from tests.worker.training.trained import data_of, plainly_trained, run, state_of, trained

ALL = ZOO | SIZES | CHOICES | PRECISION | PACKED | DIFFERENTIATING | OWN_BACKWARDS
BY_ORDER = {
    "noisy",
    "variational",
    "distributed",
    "in halves",
    "flipped",
    "critic",
    "energy",
}  # what they draw or choose depends on the order


@pytest.mark.parametrize("name", ALL)
def test_a_model_trains_as_a_plain_loop_trains_it(name: str) -> None:
    made = ALL[name]()
    expected = plainly_trained(made, lambda p: optim.SGD(p, 0.1), data_of(made))

    torch.testing.assert_close(trained(made).state, state_of(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(ALL) - BY_ORDER))
def test_a_model_that_evaluates_has_the_loss_of_the_plain_one(name: str) -> None:
    made = ALL[name]()
    made.module.eval()
    data = data_of(made)
    *inputs, targets = data.tensors
    expected = float(made.loss(made.module(*inputs), targets).detach())

    assert run(Recorded(made), data, epochs=1, batch_size=18, options={"lr": 0.0}).loss == pytest.approx(expected, 1e-4)


def test_recording_leaves_a_module_without_a_trace() -> None:
    made = ZOO["own buffers"]()
    made.module.add_module("norm", nn.BatchNorm1d(3, momentum=None))
    before = [copy.copy(vars(each)) for each in made.module.modules()]

    Recorded(made)

    assert [vars(each) for each in made.module.modules()] == before


def test_a_buffer_that_changes_its_shape_is_refused() -> None:
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen = torch.cat([self.seen, self.seen])
            return self.linear(x)

    with pytest.raises(PlanError, match=r"the model assigns \(2,\) to its buffer 'seen', which has the shape \(1,\)"):
        training_plan(Growing(), nn.functional.cross_entropy, torch.ones(2, 6), torch.ones(2).long())


def test_data_of_too_few_inputs_is_refused() -> None:
    recorded = Recorded(ZOO["two inputs"]())
    data = Data("wine", torch.ones(4, 6), torch.ones(4).long(), 3)

    with pytest.raises(PlanError, match="the plan takes 3 columns of data, and an example has features and targets"):
        run(recorded, data)
