"""FedBN, FedPer and Ditto: what stays on a worker."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.data.data import Data
from fedzmq.errors import UsageError
from fedzmq.federated.evaluation.score import evaluate
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.ditto import Ditto
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.fedbn import FedBN
from fedzmq.federated.strategies.fedper import FedPer
from tests.federated.strategies.federation import Federation, one_weight, parabola


def seeded(*layers: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(*(make() for make in layers))


def classes(scale: float = 1.0, shift: float = 0.0, *, permuted: bool = False) -> Data:
    """Three clouds; features of another scale, or labels of another order."""
    generator = torch.Generator().manual_seed(11)
    targets = torch.arange(48) % 3
    centres = torch.randn(3, 4, generator=generator) * 2
    features = centres[targets] + torch.randn(48, 4, generator=generator) * 0.3
    return Data("data", features * scale + shift, (targets + 1) % 3 if permuted else targets, 3)


SHIFTED = {"alice": classes(), "bob": classes(20.0, -30.0), "carol": classes(0.1, 5.0)}
PERMUTED = {"alice": classes(), "bob": classes(permuted=True)}
NORMALIZED = seeded(lambda: nn.BatchNorm1d(4), lambda: nn.Linear(4, 8), nn.ReLU, lambda: nn.Linear(8, 3))
PLAIN = seeded(lambda: nn.Linear(4, 8), nn.ReLU, lambda: nn.Linear(8, 3))


def local_model(outcome: Federation, name: str) -> nn.Module:
    """The common model with what the worker keeps in its place."""
    model = copy.deepcopy(outcome.model)
    named: dict[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for key, value in (outcome.kept[name].personal or outcome.kept[name].model).items():
            named[key].copy_(value)
    return model


def accuracies(outcome: Federation, parts: dict[str, Data]) -> list[float]:
    return [evaluate(local_model(outcome, name), cross_entropy, data).accuracy or 0 for name, data in parts.items()]


def test_with_features_of_unlike_scales_own_normalization_is_right_where_a_common_one_is_not() -> None:
    job = {"rounds": 8, "epochs": 2, "batch_size": 8, "options": {"lr": 0.1}}
    common, own = (Federation(each, NORMALIZED, cross_entropy, SHIFTED, **job) for each in (FedAvg(), FedBN()))

    assert min(accuracies(own, SHIFTED)) > 0.95
    assert min(accuracies(common, SHIFTED)) < 0.7


def test_all_of_batch_normalization_stays() -> None:
    assert sorted(FedBN().personal(NORMALIZED)) == [
        "0.bias",
        "0.num_batches_tracked",
        "0.running_mean",
        "0.running_var",
        "0.weight",
    ]


def test_the_coordinators_own_normalization_does_not_change() -> None:
    outcome = Federation(FedBN(), NORMALIZED, cross_entropy, SHIFTED, rounds=2)

    assert torch.equal(outcome.model.state_dict()["0.running_mean"], torch.zeros(4))
    assert not torch.equal(outcome.model.state_dict()["1.weight"], NORMALIZED.state_dict()["1.weight"])


def test_workers_normalize_alone() -> None:
    kept = Federation(FedBN(), NORMALIZED, cross_entropy, SHIFTED, rounds=2).kept

    assert not torch.equal(kept["alice"].personal["0.running_mean"], kept["bob"].personal["0.running_mean"])
    assert int(kept["alice"].personal["0.num_batches_tracked"]) == 2 * 4 * 12


def test_fedbn_refuses_a_model_without_normalization() -> None:
    with pytest.raises(UsageError, match="FedBN keeps batch normalization on the workers, and this model has none"):
        FedBN().personal(PLAIN)


def test_personal_layers_tell_labels_apart_that_workers_name_differently() -> None:
    job = {"rounds": 10, "epochs": 3, "batch_size": 8, "options": {"lr": 0.1}}
    common, own = (Federation(each, PLAIN, cross_entropy, PERMUTED, **job) for each in (FedAvg(), FedPer()))

    assert min(accuracies(own, PERMUTED)) > 0.95
    assert min(accuracies(common, PERMUTED)) < 0.7


@pytest.mark.parametrize(
    ("keep", "names"),
    [("", ["2.weight", "2.bias"]), ("0.*", ["0.weight", "0.bias"]), ("2.bias, 0.bias", ["0.bias", "2.bias"])],
)
def test_the_last_layer_stays_or_what_the_patterns_name(keep: str, names: list[str]) -> None:
    assert FedPer(keep=keep).personal(PLAIN) == names


@pytest.mark.parametrize(
    ("keep", "reason"),
    [("head.*", r"no name matches head.\* \(the model has 0.weight, "), ("*", "nothing would be shared")],
)
def test_fedper_refuses_to_keep_nothing_or_everything(keep: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        FedPer(keep=keep).personal(PLAIN)


def test_what_stays_is_not_in_the_answer() -> None:
    outcome = Federation(FedPer(), PLAIN, cross_entropy, PERMUTED, rounds=1)

    assert torch.equal(outcome.model.state_dict()["2.weight"], PLAIN.state_dict()["2.weight"])
    assert outcome.reports[0].failed == ()


def test_a_model_of_its_own_is_better_on_a_workers_own_data() -> None:
    job = {"rounds": 10, "epochs": 3, "batch_size": 8, "options": {"lr": 0.1}}
    outcome = Federation(Ditto(pull=0.1), PLAIN, cross_entropy, PERMUTED, **job)

    assert min(accuracies(outcome, PERMUTED)) > 0.95
    for answer in outcome.reports[-1].answered:
        assert answer.metrics["personal_loss"] < answer.loss
        assert answer.metrics["personal_accuracy"] > 0.95


def test_ditto_is_the_papers_algorithm() -> None:
    parts = {"alice": parabola(1.0, 1.0), "bob": parabola(0.5, 5.0)}
    outcome = Federation(Ditto(pull=0.7), one_weight(), mse_loss, parts, rounds=3, epochs=2, options={"lr": 0.1})

    common, own, shape = 0.0, {"alice": 0.0, "bob": 0.0}, {"alice": (1.0, 1.0), "bob": (0.5, 5.0)}
    for _ in range(3):
        ends = []
        for name, (curvature, bottom) in shape.items():
            y, v = common, own[name]
            for _ in range(2):
                y -= 0.1 * 2 * curvature * (y - bottom)
                v -= 0.1 * (2 * curvature * (v - bottom) + 0.7 * (v - common))
            ends.append(y)
            own[name] = v
        common = sum(ends) / 2
    assert outcome.weight == pytest.approx(common, rel=1e-5)
    for name, expected in own.items():
        assert float(outcome.kept[name].model["weight"]) == pytest.approx(expected, rel=1e-5)


def test_dittos_common_model_is_that_of_averaging_to_the_bit() -> None:
    def bits(strategy: Strategy) -> Tensor:
        return Federation(strategy, PLAIN, cross_entropy, PERMUTED, rounds=2).model.state_dict()["0.weight"]

    assert torch.equal(bits(Ditto()), bits(FedAvg()))
