"""Seven workers of one problem, of whom the first attacks: rules that hold, and averaging, which does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fedzmq.data.data import Data
from fedzmq.errors import NotEnoughWorkers
from fedzmq.federated.evaluation.score import evaluate
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.robust.bulyan import Bulyan
from fedzmq.federated.strategies.robust.geometric_median import GeometricMedian
from fedzmq.federated.strategies.robust.krum import Krum, MultiKrum
from fedzmq.federated.strategies.robust.median import Median
from fedzmq.federated.strategies.robust.trimmed_mean import TrimmedMean
from tests.federated.strategies.federation import Federation

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")
RULES: list[Callable[[], Strategy]] = [Median, TrimmedMean, GeometricMedian, Krum, MultiKrum, Bulyan]
JOB = {"rounds": 6, "epochs": 2, "batch_size": 8, "options": {"lr": 0.1}}

State = Sequence[Tensor]


def flips_the_sign(old: State, new: State) -> list[Tensor]:
    return [o - 4 * (n - o) for o, n in zip(old, new, strict=True)]


def scales(old: State, new: State) -> list[Tensor]:
    return [o - 1000 * (n - o) for o, n in zip(old, new, strict=True)]


def sends_noise(old: State, new: State) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n.shape, generator=generator) * 20 for n in new]


def sends_what_was_trained(old: State, new: State) -> State:
    return new


def sends_nan(old: State, new: State) -> list[Tensor]:
    return [n * math.nan for n in new]


def clouds(seed: int, rows: int = 24) -> Data:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, 4, generator=torch.Generator().manual_seed(100)) * 2
    targets = torch.arange(rows) % 3
    return Data("data", centres[targets] + torch.randn(rows, 4, generator=generator) * 0.25, targets, 3)


def trained(strategy: Strategy, attack: Any = None, *, flips_labels: bool = False, **job: Any) -> Federation:
    parts = {name: clouds(seed) for seed, name in enumerate(NAMES)}
    if flips_labels:
        first = parts["alice"]
        parts["alice"] = Data(first.name, first.features, 2 - first.targets, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Linear(4, 3)
    attacks = {} if attack is None else {"alice": attack}
    return Federation(strategy, module, cross_entropy, parts, attacks, **{**JOB, **job})


def accuracy(outcome: Federation) -> float:
    return evaluate(outcome.model, cross_entropy, clouds(50, rows=150)).accuracy or 0.0


@pytest.mark.parametrize("attack", [flips_the_sign, scales, sends_noise])
@pytest.mark.parametrize("make", RULES)
def test_a_rule_holds_where_a_worker_attacks(make: Callable[[], Strategy], attack: Any) -> None:
    assert accuracy(trained(make(), attack)) > 0.9


@pytest.mark.parametrize("attack", [flips_the_sign, scales, sends_noise])
def test_averaging_does_not(attack: Any) -> None:
    assert accuracy(trained(FedAvg(), attack)) < 0.5


@pytest.mark.parametrize("make", RULES)
def test_a_rule_holds_where_a_workers_labels_are_flipped(make: Callable[[], Strategy]) -> None:
    assert accuracy(trained(make(), sends_what_was_trained, flips_labels=True)) > 0.9


@pytest.mark.parametrize("make", [FedAvg, Median, GeometricMedian])
def test_nan_is_never_averaged_and_always_reported(make: Callable[[], Strategy]) -> None:
    outcome = trained(make(), sends_nan, rounds=2)

    assert all(bool(each.isfinite().all()) for each in outcome.model.parameters())
    for report in outcome.reports:
        assert [(each.worker, each.is_late) for each in report.failed] == [("alice", False)]
        assert "holds NaN or infinity" in report.failed[0].reason


@pytest.mark.parametrize("rule", [TrimmedMean(attackers=3), Krum(attackers=2), MultiKrum(attackers=2), Bulyan()])
def test_a_rule_holds_at_its_limit_where_an_attacker_sends_nan(rule: Strategy) -> None:
    assert rule.least == len(NAMES)
    assert accuracy(trained(rule, sends_nan)) > 0.9


def test_a_rule_that_is_left_with_too_few_updates_says_why() -> None:
    reason = r"7 workers are needed, and 6 can take part \(bob, .*grace\); round 1 failed on alice: .* NaN"
    with pytest.raises(NotEnoughWorkers, match=reason):
        trained(MultiKrum(attackers=0, selected=7), sends_nan)


@pytest.mark.parametrize("make", RULES)
def test_without_an_attack_a_rule_learns_too(make: Callable[[], Strategy]) -> None:
    assert accuracy(trained(make())) > 0.9
