from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn import metrics as sklearns
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.data.data import Data
from fedzmq.errors import UsageError
from fedzmq.federated.evaluation.metrics import METRICS, OF_CLASSES, OF_MEASUREMENTS, Metric, metric_for
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.evaluation.scoring import Scoring

GENERATOR = torch.Generator().manual_seed(5)
CLASSES = Data("data", torch.randn(50, 7, generator=GENERATOR), torch.randint(0, 5, (50,), generator=GENERATOR), 6)
NUMBERS = Data("data", torch.randn(50, 3, generator=GENERATOR), torch.randn(50, 3, generator=GENERATOR), None)


def scored(data: Data, *names: str, model: nn.Module | None = None) -> Score:
    """By a model that answers with its input: one class for each of seven features, or three numbers."""
    loss = mse_loss if data.classes is None else cross_entropy
    model = model or nn.Identity()
    return Scoring(model, loss, data.features, data.targets, [metric_for(name) for name in names]).here(model, data)


def guesses() -> tuple[list[int], list[int]]:
    return CLASSES.targets.tolist(), CLASSES.features.argmax(1).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("precision", lambda y, p: sklearns.precision_score(y, p, average="macro", zero_division=0)),
        ("recall", lambda y, p: sklearns.recall_score(y, p, average="macro", zero_division=0)),
        ("f1", lambda y, p: sklearns.f1_score(y, p, average="macro", zero_division=0)),
        ("confusion", lambda y, p: sklearns.confusion_matrix(y, p, labels=range(7)).tolist()),
    ],
)
def test_guesses_are_measured_as_scikit_learn_measures_them(name: str, expected: Any) -> None:
    found = scored(CLASSES, name).metrics[name]

    assert found == pytest.approx(expected(*guesses())) if isinstance(found, float) else found == expected(*guesses())


def test_accuracy_has_a_place_of_its_own() -> None:
    score = scored(CLASSES, "accuracy")

    assert score.accuracy == pytest.approx(sklearns.accuracy_score(*guesses()))
    assert score.metrics == {}


@pytest.mark.parametrize("count", [3, 5])
def test_the_best_few_guesses_are_measured_as_scikit_learn_measures_them(count: int) -> None:
    expected = sklearns.top_k_accuracy_score(CLASSES.targets, CLASSES.features, k=count, labels=range(7))

    assert scored(CLASSES, f"top{count}").metrics[f"top{count}"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", sklearns.mean_absolute_error),
        ("rmse", lambda y, p: sklearns.mean_squared_error(y, p) ** 0.5),
        ("r2", sklearns.r2_score),
    ],
)
def test_numbers_are_measured_as_scikit_learn_measures_them(name: str, expected: Any) -> None:
    found = scored(NUMBERS, name).metrics[name]

    assert found == pytest.approx(expected(NUMBERS.targets.numpy(), NUMBERS.features.numpy()))


def test_the_loss_is_the_mean_over_the_examples() -> None:
    assert scored(NUMBERS).loss == pytest.approx(float(mse_loss(NUMBERS.features, NUMBERS.targets)))


def test_all_metrics_of_a_kind_go_together() -> None:
    assert set(scored(CLASSES, "top3", "precision", "recall", "f1", "confusion").metrics) == {
        "top3", "precision", "recall", "f1", "confusion",
    }  # fmt: skip


def test_a_function_of_ones_own_is_a_metric() -> None:
    def bias(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"bias": (outputs - targets).mean()}

    scoring = Scoring(nn.Identity(), mse_loss, NUMBERS.features, NUMBERS.targets, [metric_for(bias)])
    found = scoring.here(nn.Identity(), NUMBERS).metrics["bias"]

    assert found == pytest.approx(float((NUMBERS.features - NUMBERS.targets).mean()), abs=1e-6)


def test_a_model_is_scored_in_evaluation_mode_and_stays_in_its_own() -> None:
    model = nn.Dropout(0.5)

    assert scored(NUMBERS, "mae", model=model).metrics == scored(NUMBERS, "mae").metrics
    assert model.training


def test_an_unknown_metric_names_what_is_near() -> None:
    with pytest.raises(UsageError, match=r"no metric 'acuracy' \(known: accuracy, .*; did you mean 'accuracy'\?"):
        metric_for("acuracy")


def test_a_metric_is_found_by_its_name_and_stays_itself() -> None:
    own = Metric(METRICS["mae"].measure)

    assert metric_for("mae") is METRICS["mae"]
    assert metric_for(own) is own


def test_every_metric_by_name_is_for_classes_or_for_measurements() -> None:
    assert sorted(OF_CLASSES + OF_MEASUREMENTS) == sorted(METRICS)
