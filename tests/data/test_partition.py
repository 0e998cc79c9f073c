from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.data.partition import hold_out, part
from fedzmq.data.partitioners.dirichlet import Dirichlet
from fedzmq.data.partitioners.iid import Iid
from fedzmq.errors import DataError


def numbered(rows: int, classes: int | None = 4) -> Data:
    """A set whose features say which row each example was."""
    targets = torch.arange(rows) % classes if classes else torch.linspace(0, 1, rows)[:, None]
    return Data("numbered", torch.arange(float(rows))[:, None], targets, classes)


def rows_of(*parts: Data) -> list[int]:
    return sorted(int(row) for data in parts for row in data.features.flatten())


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


def test_the_parts_and_the_held_out_share_make_up_the_set() -> None:
    data = numbered(200)
    parts = [part(data, number, 5, Dirichlet(0.5), seed=7) for number in range(1, 6)]

    assert rows_of(*parts, hold_out(data, seed=7)[1]) == list(range(200))


def test_what_is_held_out_does_not_depend_on_how_many_workers_there_are() -> None:
    data = numbered(200)
    two = rows_of(*(part(data, number, 2, Dirichlet(0.5), seed=7) for number in (1, 2)))
    five = rows_of(*(part(data, number, 5, Iid(), seed=7) for number in range(1, 6)))

    assert two == five


def test_another_seed_gives_other_parts() -> None:
    data = numbered(200)

    assert rows_of(part(data, 1, 2, Dirichlet(0.5), seed=1)) != rows_of(part(data, 1, 2, Dirichlet(0.5), seed=2))


def test_the_same_seed_gives_the_same_part_in_another_process() -> None:
    program = (
        "from fedzmq.data.load import load\nfrom fedzmq.data.partition import part\n"
        "from fedzmq.data.partitioners.dirichlet import Dirichlet\n"
        "print(part(load('iris'), 2, 3, Dirichlet(0.5), seed=11).features.sum(dim=1).tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == str(part(load("iris"), 2, 3, Dirichlet(0.5), seed=11).features.sum(dim=1).tolist())


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_part_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(DataError, match="parts count from 1 to 3"):
        part(numbered(30), number, 3, Iid(), seed=0)
