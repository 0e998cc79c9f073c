"""Each rule against a plain computation of its definition."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fedzmq.errors import UsageError
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.robust.bulyan import Bulyan
from fedzmq.federated.strategies.robust.geometric_median import GeometricMedian
from fedzmq.federated.strategies.robust.krum import Krum, MultiKrum
from fedzmq.federated.strategies.robust.median import Median
from fedzmq.federated.strategies.robust.trimmed_mean import TrimmedMean
from fedzmq.federated.updates import gathering
from fedzmq.federated.updates.gathering import FARTHEST
from tests.federated.strategies.federation import Update, after, randoms

SHAPES = ((3, 2), (5,))
RULES: list[Callable[[], Strategy]] = [Median, TrimmedMean, GeometricMedian, Krum, MultiKrum, Bulyan]


def merged(strategy: Strategy, states: list[list[Tensor]]) -> np.ndarray[Any, Any]:
    """All of the new model in one row."""
    old = {"a": torch.zeros(3, 2), "b": torch.zeros(5)}
    updates = {f"worker{number}": Update(state, 1 + number) for number, state in enumerate(states)}
    return np.concatenate([each.numpy().ravel() for each in after(strategy, old, updates).values()])


def rows(states: list[list[Tensor]]) -> np.ndarray[Any, Any]:
    return np.array([np.concatenate([each.double().numpy().ravel() for each in state]) for state in states])


def krum_scores(points: np.ndarray[Any, Any], attackers: int) -> list[float]:
    near = max(1, len(points) - attackers - 2)
    scores = []
    for one, point in enumerate(points):
        away = sorted(((point - other) ** 2).sum() for number, other in enumerate(points) if number != one)
        scores.append(sum(away[:near]))
    return scores


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_the_median_of_each_number(count: int) -> None:
    states = randoms(count, *SHAPES)

    np.testing.assert_allclose(merged(Median(), states), np.median(rows(states), axis=0))


@pytest.mark.parametrize("attackers", [0, 1, 3])
def test_the_mean_without_the_extremes(attackers: int) -> None:
    states = randoms(7, *SHAPES)

    expected = np.sort(rows(states), axis=0)[attackers : 7 - attackers].mean(0)
    np.testing.assert_allclose(merged(TrimmedMean(attackers=attackers), states), expected)


@pytest.mark.parametrize("seed", range(4))
def test_no_step_away_from_the_geometric_median_is_nearer_to_all(seed: int) -> None:
    points = rows(randoms(6, *SHAPES, seed=seed))
    found = merged(GeometricMedian(), randoms(6, *SHAPES, seed=seed))

    pulls = (points - found) / np.linalg.norm(points - found, axis=1, keepdims=True)
    assert np.linalg.norm(pulls.sum(0)) < 1e-4  # the gradient of the sum of the distances


@pytest.mark.parametrize("far", [1e6, 1e15, 1e30, 3e37])
def test_the_geometric_median_leans_by_a_force_of_one_to_whatever_is_far_away(far: float) -> None:
    states = randoms(7, *SHAPES)
    sent = [[each * far for each in states[0]], [each * far for each in states[1]], *states[2:]]
    found = merged(GeometricMedian(), sent)

    points = rows(sent)
    pulls = (points - found) / np.linalg.norm(points - found, axis=1, keepdims=True)
    assert np.linalg.norm(pulls.sum(0)) < 1e-4


def test_an_update_that_is_too_far_to_be_measured_is_left_out_of_the_geometric_median() -> None:
    points = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1e200, 0.0]], dtype=torch.float64)
    rule = GeometricMedian()
    weights = rule.trust(rule.compare(points).clamp(-FARTHEST, FARTHEST))

    torch.testing.assert_close(weights[:3], rule.trust(rule.compare(points[:3])))
    assert float(weights[3]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_krum_takes_the_update_with_the_nearest_company(seed: int) -> None:
    states = randoms(8, *SHAPES, seed=seed)

    best = int(np.argmin(krum_scores(rows(states), 2)))
    np.testing.assert_allclose(merged(Krum(attackers=2), states), rows(states)[best])


@pytest.mark.parametrize(("selected", "count"), [(0, 4), (3, 3), (6, 6)])
def test_multikrum_takes_the_mean_of_the_best(selected: int, count: int) -> None:
    states = randoms(8, *SHAPES)

    best = np.argsort(krum_scores(rows(states), 2))[:count]
    np.testing.assert_allclose(merged(MultiKrum(attackers=2, selected=selected), states), rows(states)[best].mean(0))


@pytest.mark.parametrize("attackers", [1, 2])
def test_bulyan_picks_by_krum_and_averages_near_the_median(attackers: int) -> None:
    states = randoms(4 * attackers + 4, *SHAPES, seed=attackers)

    left, picked = list(rows(states)), []
    for _ in range(len(left) - 2 * attackers):
        picked.append(left.pop(int(np.argmin(krum_scores(np.array(left), attackers)))))
    expected = []
    for column in np.array(picked).T:
        nearest = sorted(column, key=lambda value: abs(value - np.median(column)))
        expected.append(np.mean(nearest[: len(column) - 2 * attackers]))
    np.testing.assert_allclose(merged(Bulyan(attackers=attackers), states), expected)


@pytest.mark.parametrize("make", RULES)
def test_the_order_of_arrival_changes_no_bit(make: Callable[[], Strategy]) -> None:
    states = randoms(7, (4,))
    updates = {name: Update(state, 1) for name, state in zip("abcdefg", states, strict=True)}
    backwards = dict(reversed(updates.items()))
    old = {"w": torch.zeros(4)}

    assert torch.equal(after(make(), old, updates)["w"], after(make(), old, backwards)["w"])


@pytest.mark.parametrize("make", RULES)
def test_piece_by_piece_it_is_the_same(make: Callable[[], Strategy], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = merged(make(), randoms(7, *SHAPES))
    monkeypatch.setattr(gathering, "PIECE", 14)  # two elements of each update

    np.testing.assert_allclose(merged(make(), randoms(7, *SHAPES)), whole)


@pytest.mark.parametrize("make", RULES)
def test_a_counter_and_a_half_float_come_out_in_their_place(make: Callable[[], Strategy]) -> None:
    old = {"w": torch.zeros(2, dtype=torch.bfloat16), "counter": torch.tensor(0), "empty": torch.zeros(0)}
    state = [torch.tensor([1.0, -2.0], dtype=torch.bfloat16), torch.tensor(7), torch.zeros(0)]
    new = after(make(), old, {f"worker{number}": Update(state, 1) for number in range(7)})

    assert new["w"].tolist() == pytest.approx([1.0, -2.0])
    assert float(new["counter"]) == pytest.approx(7)
    assert new["empty"].shape == (0,)


@pytest.mark.parametrize("make", RULES)
def test_a_complex_number_is_two(make: Callable[[], Strategy]) -> None:
    states = randoms(7, *SHAPES)
    old = {"a": torch.zeros(3, dtype=torch.complex64), "b": torch.zeros(5)}
    updates = {f"worker{number}": Update([torch.view_as_complex(a), b], 1) for number, (a, b) in enumerate(states)}
    new = torch.view_as_real(after(make(), old, updates, size=2)["a"]).flatten()

    np.testing.assert_allclose(new.numpy(), merged(make(), states)[:6])


@pytest.mark.parametrize(("strategy", "least"), [(TrimmedMean(2), 5), (Krum(2), 7), (MultiKrum(1), 5), (Bulyan(1), 7)])
def test_a_rule_says_how_many_updates_it_needs(strategy: Strategy, least: int) -> None:
    assert strategy.least == least


def test_more_than_the_honest_cannot_be_selected() -> None:
    with pytest.raises(UsageError, match="'selected' is 9, and of 8 updates with 0 attackers among them, 8 can be"):
        merged(MultiKrum(attackers=2, selected=9), randoms(8, *SHAPES))


def test_krum_is_not_fooled_by_attackers_who_agree_with_each_other() -> None:
    honest = randoms(5, *SHAPES)
    together = [[torch.full_like(each, 50.0) for each in honest[0]]] * 2

    found = merged(Krum(attackers=2), [*together, *honest])
    assert any(np.allclose(found, each) for each in rows(honest))


def test_all_pairs_are_compared() -> None:
    points = rows(randoms(5, *SHAPES))
    seen: list[Tensor] = []

    class Watches(Krum):
        def trust(self, distances: Tensor) -> Tensor:
            seen.append(distances)
            return super().trust(distances)

    merged(Watches(), randoms(5, *SHAPES))
    for one, other in combinations(range(5), 2):
        expected = ((points[one] - points[other]) ** 2).sum()
        assert float(seen[0][one, other]) == pytest.approx(expected)
        assert float(seen[0][other, one]) == pytest.approx(expected)
    assert len(seen) == 1


def test_multikrum_needs_as_many_answers_as_it_is_to_select_from() -> None:
    assert MultiKrum(attackers=1, selected=6).least == 7
    assert MultiKrum(attackers=1, selected=1).least == 5


def test_the_geometric_median_leaves_an_update_that_it_begins_at_and_that_is_near_it() -> None:
    """Seen from the first of three at an angle below 120 degrees, it is elsewhere, by Torricelli's construction."""
    angle = torch.tensor(118.0, dtype=torch.float64).deg2rad()
    points = torch.stack([torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0]), _at(angle)]).double()
    weights = GeometricMedian().trust(points @ points.T)
    median = (weights[:, None] * points).sum(0) / weights.sum()
    ways = points - median
    pulls = ways / ways.norm(dim=1, keepdim=True)

    torch.testing.assert_close(pulls.sum(0), torch.zeros(2, dtype=torch.float64), atol=1e-5, rtol=0.0)


def _at(angle: torch.Tensor) -> torch.Tensor:
    return torch.stack([angle.cos(), angle.sin()])
