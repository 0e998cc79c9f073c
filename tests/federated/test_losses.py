"""Losses by name: each is torch's own, on answers and targets whose forms are brought together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fedzmq.data.data import Data
from fedzmq.errors import UsageError
from fedzmq.federated.losses import LOSSES, loss_by_name, loss_for, named
from fedzmq.recording.training_plan import training_plan
from tests.recording.recorded import Made, Recorded

CLASSES = torch.tensor([0, 1, 1, 0, 1])
NUMBERS = torch.tensor([[0.5], [0.0], [1.0], [0.25], [0.75]])

OWN: dict[str, tuple[dict[str, float], Tensor, Callable[[Tensor], Tensor]]] = {
    "bce": ({}, CLASSES, lambda out: functional.binary_cross_entropy(out, CLASSES[:, None].float())),
    "bce_with_logits": (
        {"pos_weight": 3.0},
        CLASSES,
        lambda out: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(out, CLASSES[:, None].float()),
    ),
    "cross_entropy": (
        {"label_smoothing": 0.2},
        CLASSES,
        lambda out: nn.CrossEntropyLoss(label_smoothing=0.2)(out, CLASSES),
    ),
    "huber": ({"delta": 0.3}, NUMBERS, lambda out: nn.HuberLoss(delta=0.3)(out, NUMBERS)),
    "l1": ({}, NUMBERS, lambda out: (out - NUMBERS).abs().mean()),
    "mse": ({}, NUMBERS, lambda out: (out - NUMBERS).square().mean()),
    "multi_margin": ({"margin": 0.5}, CLASSES, lambda out: nn.MultiMarginLoss(margin=0.5)(out, CLASSES)),
    "nll": ({}, CLASSES, lambda out: nn.NLLLoss()(out, CLASSES)),
    "poisson_nll": ({}, NUMBERS, lambda out: (out.exp() - NUMBERS * out).mean()),
    "smooth_l1": ({"beta": 0.4}, NUMBERS, lambda out: nn.SmoothL1Loss(beta=0.4)(out, NUMBERS)),
}


def answers(name: str) -> Tensor:
    width = 1 if LOSSES[name].is_alike else 3
    drawn = torch.randn(5, width, generator=torch.Generator().manual_seed(1))
    return drawn.sigmoid() if name == "bce" else drawn


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_by_name_is_torchs_own(name: str) -> None:
    options, targets, own = OWN[name]
    out = answers(name)

    torch.testing.assert_close(loss_by_name(name, options)(out, targets), own(out))
    assert named(loss_by_name(name, {})) == name


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_by_name_becomes_a_plan_for_batches_of_any_size(name: str) -> None:
    options, targets, _ = OWN[name]
    loss = loss_by_name(name, options)
    model = nn.Sequential(nn.Linear(2, answers(name).shape[1]), nn.Sigmoid() if name == "bce" else nn.Identity())
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(2))
    recorded = Recorded(Made(model, x, targets, loss))

    for rows in (5, 3, 1):
        recorded.made.features, recorded.made.targets = x[:rows], targets[:rows]
        torch.testing.assert_close(recorded.outputs()[0], loss(model(x[:rows]), targets[:rows]))


@pytest.mark.parametrize("name", ["l1", "bce_with_logits"])
@pytest.mark.parametrize("form", [(5,), (5, 1), (5, 1, 1)])
def test_targets_take_the_form_of_the_answers(name: str, form: tuple[int, ...]) -> None:
    loss = loss_by_name(name, {})
    out = answers(name)

    assert torch.equal(loss(out.reshape(form), CLASSES), loss(out, CLASSES[:, None].float()))


@pytest.mark.parametrize(("answer", "target"), [((4, 3), (4,)), ((4, 2, 3), (4, 3, 2)), ((4, 2), (4, 4))])
def test_numbers_that_do_not_belong_together_are_not_held_against_each_other(
    answer: tuple[int, ...], target: tuple[int, ...]
) -> None:
    with pytest.raises(RuntimeError, match="answers and targets differ in how many numbers an example has"):
        loss_by_name("mse", {})(torch.zeros(answer), torch.zeros(target))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("hubber", {}, "no loss 'hubber' (known: bce, .*); did you mean 'huber'?"),
        ("huber", {"beta": 1.0}, "the loss 'huber' has no option 'beta' (known: delta)"),
        ("mse", {"delta": 1.0}, "the loss 'mse' has no option 'delta' (it has none)"),
        ("huber", {"delta": 0.0}, "the option 'delta' of the loss 'huber' is 0.0, and a number above 0 is expected"),
        ("huber", {"delta": "1"}, "is '1', and a number above 0 is expected"),
        ("smooth_l1", {"beta": -1.0}, "is -1.0, and a number from 0 is expected"),
        ("cross_entropy", {"label_smoothing": 1.5}, "is 1.5, and a number from 0 to 1 is expected"),
        ("huber", {"delta": float("inf")}, "is inf, and a number above 0 is expected"),
        ("huber", {"delta": float("nan")}, "is nan, and a number above 0 is expected"),
        ("huber", {"delta": True}, "is True, and a number above 0 is expected"),
    ],
)
def test_what_is_no_loss_is_one_sentence(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        loss_by_name(name, options)

    before, _, after = sentence.partition(".*")
    assert before in str(raised.value)
    assert after in str(raised.value)


def test_classes_are_learned_by_cross_entropy() -> None:
    data = Data("classes", torch.ones(2, 3), torch.tensor([0, 1]), 2)
    logits = torch.tensor([[2.0, 0.0], [1.0, 1.0]])

    torch.testing.assert_close(loss_for(data)(logits, data.targets), nn.CrossEntropyLoss()(logits, data.targets))


def test_measurements_are_learned_by_squared_error() -> None:
    data = Data("measured", torch.ones(4, 3), torch.ones(4, 1), None)

    assert loss_for(data)(torch.full((4, 1), 3.0), data.targets) == 4.0


def test_one_score_for_each_example_guesses_no_class() -> None:
    plan = training_plan(nn.Linear(2, 1), loss_by_name("bce_with_logits", {}), torch.zeros(2, 2), CLASSES[:2])

    assert b"accuracy" not in plan
