"""What a task may ask for beside plain training. The strategies' own tests hold the formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import optim

from fedzmq.errors import FedzmqError, UsageError
from fedzmq.wire.messages import Local
from fedzmq.worker.training.corrections import Correction
from fedzmq.worker.training.memory import Kept
from fedzmq.worker.training.train import Outcome, train
from tests.recording.recorded import MODULES, Made, Recorded
from tests.worker.training.trained import TASK, data_of, plainly_trained, run, state_of, state_that_came


def trained(made: Made, local: Local, control: list[torch.Tensor] | None = None, kept: Kept | None = None) -> Outcome:
    recorded = Recorded(made)
    task = replace(TASK, local=local)
    return train(
        task,
        recorded.compiled,
        state_that_came(recorded),
        data_of(made),
        report=lambda *progress: None,
        look=lambda: None,
        control=control or [],
        kept=kept,
    )


def test_a_correction_adds_the_pull_and_the_drift() -> None:
    weight, anchor = torch.tensor([3.0]), torch.tensor([1.0])
    corrected = Correction([weight], [anchor], 0.5, [torch.tensor([10.0])])([torch.tensor([0.25])])

    assert corrected[0] is not None
    assert corrected[0].tolist() == [0.25 + 0.5 * 2 + 10]


def test_a_correction_leaves_the_others_and_those_without_a_gradient_as_they_are() -> None:
    own = torch.tensor([7.0])
    corrected = Correction([torch.ones(1)], [torch.zeros(1)], 1.0)([None, own])

    assert corrected == [None, own]


def test_a_correction_takes_a_gradient_that_is_expanded() -> None:
    gradient = torch.ones(1).expand(3)
    corrected = Correction([torch.ones(3)], [torch.zeros(3)], 2.0)([gradient])

    assert corrected[0] is not None
    assert corrected[0].tolist() == [3.0] * 3
    assert gradient.tolist() == [1.0] * 3


@pytest.mark.parametrize("name", ["cnn", "idle", "frozen", "lstm"])
def test_a_zero_control_is_plain_training(name: str) -> None:
    made = MODULES[name]()
    control = [torch.zeros_like(each) for each in made.module.parameters() if each.requires_grad]

    torch.testing.assert_close(trained(made, Local(), control).state, run(Recorded(made), data_of(made)).state)


def test_the_steps_are_counted() -> None:
    assert trained(MODULES["linear"](), Local()).steps == 2 * 5  # 18 rows by 4, twice


@pytest.mark.parametrize("name", ["cnn", "dropout"])
def test_telling_the_loss_before_changes_nothing_else(name: str) -> None:
    made = MODULES[name]()
    outcome = trained(made, Local(loss_before=True))

    assert all(map(torch.equal, outcome.state, run(Recorded(made), data_of(made)).state))


def test_the_loss_before_is_that_of_the_model_that_came() -> None:
    made, data = MODULES["linear"](), data_of(MODULES["linear"]())
    outcome = trained(made, Local(loss_before=True))

    expected = float(made.loss(made.module(data.features), data.targets).detach())
    assert outcome.metrics["loss_before"] == pytest.approx(expected)


def test_what_is_personal_is_kept_and_not_sent() -> None:
    made = MODULES["mlp"]()
    expected = state_of(plainly_trained(made, lambda p: optim.SGD(p, 0.1), data_of(made)))
    outcome = trained(made, Local(personal=("2.weight", "2.bias")))

    torch.testing.assert_close(outcome.state, expected[:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(list(outcome.kept.personal.values()), expected[2:], rtol=1e-4, atol=1e-5)


def test_what_is_personal_goes_on_from_what_was_kept() -> None:
    made = MODULES["mlp"]()
    local = Local(personal=("2.weight", "2.bias"))
    ones = {"2.weight": torch.full((3, 7), 0.5), "2.bias": torch.full((3,), 0.5)}
    with torch.no_grad():
        outcome = trained(made, local, kept=Kept(personal=ones))
        made.module.load_state_dict(ones, strict=False)
    expected = state_of(plainly_trained(made, lambda p: optim.SGD(p, 0.1), data_of(made)))

    torch.testing.assert_close(outcome.state, expected[:2], rtol=1e-4, atol=1e-5)
    assert ones["2.bias"].tolist() == [0.5] * 3


def test_what_is_personal_is_not_pulled_to_the_others() -> None:
    made = MODULES["mlp"]()
    everything = tuple(name for name, _ in made.module.named_parameters())
    plain = trained(made, Local(personal=everything)).kept.personal
    pulled = trained(made, Local(personal=everything, proximal=5.0)).kept.personal

    assert all(torch.equal(plain[name], pulled[name]) for name in everything)


def test_nothing_is_kept_of_plain_training() -> None:
    assert not trained(MODULES["cnn"](), Local()).kept


@pytest.mark.parametrize(
    ("local", "control", "reason"),
    [
        (Local(proximal=-1.0), [], "the strength 'proximal' of local training is -1, and it cannot be negative"),
        (Local(ditto=-0.5), [], "the strength 'ditto' of local training is -0.5"),
        (Local(personal=("head",)), [], "'head' is to stay on the worker, and the plan has no parameter or buffer"),
        (Local(), [torch.zeros(3)], "1 control variates came, and each of the 2 parameters that are trained and"),
        (Local(), [torch.zeros(3), torch.zeros(3)], "needs one of its shape"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(local: Local, control: Any, reason: str) -> None:
    error: type[FedzmqError] = UsageError
    with pytest.raises(error, match=reason):
        trained(MODULES["linear"](), local, control)
