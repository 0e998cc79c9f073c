from __future__ import annotations

import pytest
import torch

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.errors import DataError
from tests.pointers.loopback import Place


def numbers() -> BaseDataset:
    return BaseDataset(torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, 3, 4]))


def test_it_is_a_sequence_of_examples() -> None:
    dataset = numbers()
    assert len(dataset) == 4
    assert dataset[2] == (3, 3)
    assert [int(data) for data, _ in dataset] == [1, 2, 3, 4]
    assert dataset.location is None


def test_it_is_sent_and_comes_home_in_place(bob: Place, alice: Place) -> None:
    dataset = numbers()
    assert dataset.send(bob) is dataset
    assert dataset.data.location is dataset.targets.location is dataset.location is bob
    assert dataset.send(alice).location is alice
    assert bob.stored == 0
    assert dataset.get() is dataset
    assert dataset.data.tolist() == dataset.targets.tolist() == [1, 2, 3, 4]
    assert alice.stored == 0


def test_a_slice_of_it_on_a_worker_is_a_pair_of_pointers(bob: Place) -> None:
    data, target = numbers().send(bob)[1:3]
    assert data.location is target.location is bob
    assert data.get().tolist() == [2, 3]


def test_a_transform_runs_where_the_data_is(bob: Place) -> None:
    dataset = numbers().send(bob)
    dataset.transform(lambda x: x * 2)
    assert dataset.get().data.tolist() == [2, 4, 6, 8]
    assert dataset.targets.tolist() == [1, 2, 3, 4]


def test_a_transform_given_at_first_is_applied_to_what_is_taken_out() -> None:
    dataset = BaseDataset(torch.ones(3), torch.zeros(3), transform=lambda x: x * 2)
    assert dataset[0] == (2, 0)
    assert dataset.data.tolist() == [1, 1, 1]


def test_rows_without_a_target_are_refused() -> None:
    with pytest.raises(DataError, match="it has 3 rows of data and 2 targets"):
        BaseDataset(torch.ones(3), torch.ones(2))
