from __future__ import annotations

import torch

from fedzmq.data.data import Data
from fedzmq.wire.messages import DatasetInfo
from fedzmq.worker.dataset_info import dataset_info

DATA = Data("data", torch.zeros(5, 2), torch.tensor([0, 2, 2, 0, 2]), 4)


def test_labels_are_kept_back() -> None:
    assert dataset_info(DATA, labels=False) == DatasetInfo("data", 5, ((2,), ()), ("float32", "int64"), 4, ())


def test_labels_are_counted_where_the_owner_lets_them_be_told() -> None:
    assert dataset_info(DATA, labels=True).labels == (2, 0, 3, 0)


def test_a_regression_has_no_labels() -> None:
    data = Data("data", torch.zeros(5, 2), torch.zeros(5, 1), None)

    assert dataset_info(data, labels=True).labels == ()
