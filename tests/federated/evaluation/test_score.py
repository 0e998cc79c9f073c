from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.data.data import Data
from fedzmq.federated.evaluation.score import BATCH, evaluate
from tests.recording.recorded import MODULES

ROWS = BATCH + 7
FEATURES = torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(1))
CLASSES = torch.randint(0, 3, (ROWS,), generator=torch.Generator().manual_seed(2))


def test_the_score_is_that_of_all_examples_at_once() -> None:
    model = MODULES["linear"]().module
    score = evaluate(model, cross_entropy, Data("data", FEATURES, CLASSES, 3))

    with torch.no_grad():
        output = model(FEATURES)
    assert score.loss == pytest.approx(float(cross_entropy(output, CLASSES)), rel=1e-5)
    assert score.accuracy == float((output.argmax(1) == CLASSES).double().mean())


def test_a_regression_has_a_loss_and_no_accuracy() -> None:
    score = evaluate(nn.Identity(), mse_loss, Data("data", FEATURES, FEATURES + 2, None))

    assert score.loss == pytest.approx(4.0)
    assert score.accuracy is None


def test_a_model_is_scored_in_evaluation_mode() -> None:
    model = nn.Sequential(nn.Dropout(0.9))

    assert evaluate(model, mse_loss, Data("data", FEATURES, FEATURES, None)).loss == 0.0


def test_every_module_is_left_in_its_own_mode() -> None:
    model = MODULES["cnn"]().module
    batch_norm = next(each for each in model.modules() if isinstance(each, nn.BatchNorm2d)).eval()
    before = [each.training for each in model.modules()]

    evaluate(model, cross_entropy, Data("data", torch.randn(4, 1, 8, 8), CLASSES[:4], 3))

    assert [each.training for each in model.modules()] == before
    assert not batch_norm.training


def test_the_modes_survive_a_model_that_fails() -> None:
    model = nn.Sequential(nn.Linear(5, 3))

    with pytest.raises(RuntimeError):
        evaluate(model, cross_entropy, Data("data", FEATURES, CLASSES, 3))

    assert model.training


def test_statistics_are_not_updated() -> None:
    model = MODULES["batch norm"]().module
    before = [each.clone() for each in model.buffers()]

    evaluate(model, cross_entropy, Data("data", FEATURES, CLASSES, 3))

    assert all(map(torch.equal, before, model.buffers()))
