from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.datasets.federate import federate, install
from fedzmq.datasets.federated_dataset import FederatedDataset
from fedzmq.errors import DataError
from tests.pointers.loopback import Place


class Squares(Dataset[tuple[torch.Tensor, int]]):
    """Counts how often its examples are made."""

    made = 0

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.made += 1
        return torch.tensor([float(index)]), index * index


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return count()


def values(dataset: FederatedDataset, name: str) -> list[float]:
    return [float(each) for each in dataset.get_dataset(name).data]


def test_parts_are_equal_and_in_order(bob: Place, alice: Place) -> None:
    rows = torch.arange(6.0)
    dataset = federate(BaseDataset(rows, rows), (bob, alice))
    assert dataset.workers == ["bob", "alice"]
    assert dataset["bob"].location is bob
    assert values(dataset, "bob") == [0, 1, 2]
    assert values(dataset, "alice") == [3, 4, 5]


def test_no_worker_goes_without_where_the_parts_cannot_be_equal(bob: Place, alice: Place) -> None:
    carol = Place("carol")
    dataset = federate(TensorDataset(torch.ones(4), torch.ones(4)), (bob, alice, carol))
    assert [len(dataset[name]) for name in dataset.workers] == [2, 1, 1]


def test_any_data_set_of_torch_has_the_verb_and_makes_each_example_once(bob: Place, alice: Place) -> None:
    install()
    install()
    squares = Squares()
    dataset = squares.federate((bob, alice))
    assert squares.made == 5
    assert dataset["alice"].targets.get().tolist() == [9, 16]
    assert values(dataset, "bob") == [0, 1, 2]


def test_examples_are_sent_in_two_tensors(bob: Place) -> None:
    dataset = federate(TensorDataset(torch.ones(1000, 2), torch.ones(1000)), (bob,))
    bob.stream.flush()
    assert bob.line.records == 2
    assert len(dataset) == 1000


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (TensorDataset(torch.ones(1), torch.ones(1)), "1 examples cannot be spread over 2 workers"),
        (TensorDataset(torch.ones(2)), "pairs of data and target are needed"),
        (TensorDataset(torch.ones(0)), "it has no examples"),
        (Endless(), "a Endless has no length"),
    ],
)
def test_what_cannot_be_spread_is_refused(dataset: Dataset[object], reason: str, bob: Place, alice: Place) -> None:
    with pytest.raises(DataError, match=reason):
        federate(dataset, (bob, alice))
