"""How a data set that is here is spread over workers: in order, in parts as equal as they can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.datasets.federated_dataset import FederatedDataset
from fedzmq.errors import DataError
from fedzmq.pointers.verbs import Place
from fedzmq.pointers.verbs import install as install_verbs

SOURCE = "federate"


def federate(dataset: Dataset[Any], workers: Sequence[Place]) -> FederatedDataset:
    """Send a part of a torch Dataset of pairs to each of the workers. The first parts are larger by one where needed.

    Its transforms run here, once for each example. Raises DataError where there are fewer examples than workers.
    """
    data, targets = _columns(dataset)
    if not 0 < len(workers) <= len(data):
        raise DataError(SOURCE, f"{len(data)} examples cannot be spread over {len(workers)} workers")
    parts = zip(workers, data.tensor_split(len(workers)), targets.tensor_split(len(workers)), strict=True)
    return FederatedDataset([BaseDataset(part, own).send(worker) for worker, part, own in parts])


def install() -> None:
    """Give torch's tensors and modules their verbs, and its data sets `federate`. Again is nothing."""
    install_verbs()
    if "federate" not in vars(Dataset):
        Dataset.federate = federate  # type: ignore[attr-defined]  # on purpose


def _columns(dataset: Dataset[Any]) -> tuple[Tensor, Tensor]:
    if isinstance(dataset, BaseDataset) and dataset.transform_ is None:
        return dataset.data, dataset.targets
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        return dataset.tensors[0], dataset.tensors[1]
    if not hasattr(dataset, "__len__"):
        raise DataError(SOURCE, f"a {type(dataset).__name__} has no length, and its parts would have none")
    pairs = [dataset[index] for index in range(len(dataset))]
    if not pairs:
        raise DataError(SOURCE, "it has no examples")
    columns = default_collate(pairs)
    if len(columns) != 2 or not all(isinstance(column, torch.Tensor) for column in columns):
        raise DataError(SOURCE, f"its examples are {type(pairs[0]).__name__}, and pairs of data and target are needed")
    return columns[0], columns[1]
