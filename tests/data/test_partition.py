from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.data.partition import dirichlet, hold_out, iid, part
from fedzmq.errors import DataError


def numbered(rows: int, classes: int | None = 4) -> Data:
    """A set whose features say which row each example was."""
    targets = torch.arange(rows) % classes if classes else torch.linspace(0, 1, rows)[:, None]
    return Data("numbered", torch.arange(float(rows))[:, None], targets, classes)


def rows_of(*parts: Data) -> list[int]:
    return sorted(int(row) for data in parts for row in data.features.flatten())


def skew(targets: torch.Tensor, parts: list[torch.Tensor]) -> float:
    """Mean over the parts of how far a part's mix of classes is from the whole's (total variation)."""
    classes = int(targets.max()) + 1
    whole = torch.bincount(targets, minlength=classes) / len(targets)
    mixes = [torch.bincount(targets[index], minlength=classes) / len(index) for index in parts]
    return float(torch.stack([(mix - whole).abs().sum() / 2 for mix in mixes]).mean())


def test_holding_out_leaves_every_example_on_one_side() -> None:
    kept, held = hold_out(numbered(100), 0.1, seed=3)

    assert len(held) == 10
    assert rows_of(kept, held) == list(range(100))


@pytest.mark.parametrize(("rows", "fraction"), [(2, 0.01), (2, 0.99), (3, 0.1)])
def test_holding_out_leaves_both_sides_something(rows: int, fraction: float) -> None:
    kept, held = hold_out(numbered(rows), fraction, seed=0)

    assert len(kept) >= 1
    assert len(held) >= 1


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        hold_out(numbered(10), fraction)


def test_a_single_example_cannot_be_split() -> None:
    with pytest.raises(DataError, match="2 are needed"):
        hold_out(numbered(1))


@given(
    labels=st.lists(st.integers(0, 4), min_size=12, max_size=60),
    parts=st.integers(1, 6),
    alpha=st.floats(1e-9, 1e4),
    seed=st.integers(0, 2**70),
    minimum=st.integers(0, 2),
)
def test_every_row_is_in_exactly_one_part_and_no_part_is_too_small(
    labels: list[int], parts: int, alpha: float, seed: int, minimum: int
) -> None:
    split = dirichlet(torch.tensor(labels), parts, alpha, seed, minimum)

    assert len(split) == parts
    assert sorted(torch.cat(split).tolist()) == list(range(len(labels)))
    assert min(len(index) for index in split) >= minimum


def test_a_small_alpha_skews_more_than_a_large_one() -> None:
    targets = load("digits").targets

    assert skew(targets, dirichlet(targets, 5, 0.1, seed=0)) > 0.4
    assert skew(targets, dirichlet(targets, 5, 1000.0, seed=0)) < 0.05


def test_measurements_are_dealt_out_evenly() -> None:
    data = numbered(10, classes=None)

    assert [len(index) for index in dirichlet(data.targets, 3, 0.1, seed=0)] == [4, 3, 3]


def test_an_even_deal_gives_every_row_once() -> None:
    assert sorted(torch.cat(iid(11, 4, seed=1)).tolist()) == list(range(11))


def test_the_parts_and_the_held_out_share_make_up_the_set() -> None:
    data = numbered(200)
    parts = [part(data, number, 5, 0.5, seed=7) for number in range(1, 6)]

    assert rows_of(*parts, hold_out(data, seed=7)[1]) == list(range(200))


def test_what_is_held_out_does_not_depend_on_how_many_workers_there_are() -> None:
    data = numbered(200)
    two = rows_of(*(part(data, number, 2, 0.5, seed=7) for number in (1, 2)))
    five = rows_of(*(part(data, number, 5, 1.0, seed=7) for number in range(1, 6)))

    assert two == five


def test_another_seed_gives_other_parts() -> None:
    data = numbered(200)

    assert rows_of(part(data, 1, 2, 0.5, seed=1)) != rows_of(part(data, 1, 2, 0.5, seed=2))


def test_the_same_seed_gives_the_same_part_in_another_process() -> None:
    program = (
        "from fedzmq.data.load import load\nfrom fedzmq.data.partition import part\n"
        "print(part(load('iris'), 2, 3, 0.5, seed=11).features.sum(dim=1).tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == str(part(load("iris"), 2, 3, 0.5, seed=11).features.sum(dim=1).tolist())


def test_a_seed_gives_the_parts_that_it_always_gave() -> None:
    # Workers of different releases split one set between them: after a change, two would hold the same rows.
    split = dirichlet(torch.arange(12) % 3, 3, 1.0, seed=0)

    assert [index.tolist() for index in split] == [[0, 3, 4, 6, 9, 10, 11], [1, 2, 5, 8], [7]]


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_part_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(DataError, match="parts count from 1 to 3"):
        part(numbered(30), number, 3, 1.0, seed=0)


def test_more_workers_than_examples_are_refused() -> None:
    with pytest.raises(DataError, match="'numbered': 9 examples cannot give 5 workers at least 2 each"):
        part(numbered(10), 1, 5, 1.0, seed=0, minimum=2)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_an_alpha_that_is_not_above_zero_is_refused(alpha: float) -> None:
    with pytest.raises(DataError, match="must be above 0"):
        part(numbered(30), 1, 3, alpha, seed=0)
