from __future__ import annotations

from typing import Any

import pytest
import torch

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.datasets.federated_dataset import FederatedDataset
from fedzmq.errors import DataError, RemoteError
from tests.pointers.loopback import Place


def part(*values: int) -> BaseDataset:
    return BaseDataset(torch.tensor(values), torch.tensor(values))


@pytest.fixture
def both(bob: Place, alice: Place) -> FederatedDataset:
    return FederatedDataset([part(1, 2).send(bob), part(3, 4, 5, 6).send(alice)])


def test_it_has_the_examples_of_all_workers(both: FederatedDataset, alice: Place) -> None:
    assert both.workers == ["bob", "alice"]
    assert len(both) == 6
    assert both[alice] is both["alice"]
    assert str(both) == "FederatedDataset(6 examples on bob, alice)"


def test_a_part_that_is_taken_out_is_home_and_no_longer_in_it(both: FederatedDataset) -> None:
    home = both.get_dataset("alice")
    assert home.data.tolist() == [3, 4, 5, 6]
    assert home[2] == (5, 5)
    assert len(both) == 2
    assert home.get() is home


def test_a_part_that_cannot_come_home_whole_stays_where_it_is(bob: Place) -> None:
    targets: Any = torch.tensor([1, 2])
    beyond = targets.send(bob)[targets.send(bob)]  # which fails over there
    there = FederatedDataset([BaseDataset(torch.tensor([3, 4]).send(bob), beyond)])  # type: ignore[attr-defined]
    with pytest.raises(RemoteError, match="out of bounds"):
        there.get_dataset("bob")
    data: Any = there["bob"].data
    assert data.get().tolist() == [3, 4]


def test_a_part_does_not_come_home_behind_its_back(both: FederatedDataset) -> None:
    with pytest.raises(ValueError, match=r"part of a federated one.*\.get_dataset\('alice'\)"):
        both["alice"].get()


def test_a_worker_that_has_nothing_is_named_with_those_that_have(both: FederatedDataset) -> None:
    with pytest.raises(DataError, match=r"nothing on worker 'carol' \(it has: bob, alice\)"):
        both["carol"]


def test_a_part_that_is_here_is_refused() -> None:
    with pytest.raises(DataError, match="is not on a worker; send it to one first"):
        FederatedDataset([part(1)])


def test_two_parts_on_one_worker_are_refused(bob: Place) -> None:
    with pytest.raises(DataError, match="two data sets are on worker 'bob'"):
        FederatedDataset([part(1).send(bob), part(2).send(bob)])
