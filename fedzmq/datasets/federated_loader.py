"""Batches of a FederatedDataset, as pointers: a batch is cut out on its worker, and no row travels.

Workers are visited one after the other, or several at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.datasets.federated_dataset import FederatedDataset
from fedzmq.errors import DataError
from fedzmq.pointers.sending import send_tensor

Batch = tuple[Tensor, Tensor]


class Batches(dict[Any, Batch]):
    """One batch of each of several workers, by the workers' handles; their names, and handles like them, serve too."""

    def __missing__(self, worker: Any) -> Batch:
        name = worker if isinstance(worker, str) else worker.name
        for location, batch in self.items():
            if location.name == name:
                return batch
        raise KeyError(worker)


class FederatedDataLoader:
    """Iterates over pairs of pointers, data and target, every example once in an epoch.

    With `num_iterators` above 1, over `Batches` of that many workers at a time, and of fewer once the others are
    through; of N workers N - 1 at most, so that there is one to take the place of another. With `iter_per_worker`, over
    `Batches` of all workers, for as long as each of them has one. `shuffle` orders anew for every epoch, within each
    worker, by torch's global generator here; `drop_last` leaves out what does not fill a batch. What torch's own loader
    does with `num_workers` and `pin_memory` has no meaning here: a batch is cut out where it is.
    """

    def __init__(
        self,
        federated_dataset: FederatedDataset,
        batch_size: int = 8,
        shuffle: bool = False,
        num_iterators: int = 1,
        drop_last: bool = False,
        iter_per_worker: bool = False,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        if not isinstance(federated_dataset, FederatedDataset):
            kind = type(federated_dataset).__name__
            raise DataError("FederatedDataLoader", f"it takes a FederatedDataset, not a {kind}: see .federate(workers)")
        if batch_size < 1 or num_iterators < 1:
            sizes = f"batch_size is {batch_size} and num_iterators {num_iterators}"
            raise DataError("FederatedDataLoader", f"{sizes}, and both are at least 1")
        self.federated_dataset = federated_dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.iter_per_worker = iter_per_worker
        count = len(self.workers)
        self.num_iterators = count if iter_per_worker else max(1, min(num_iterators, count - 1))

    @property
    def workers(self) -> list[str]:
        return self.federated_dataset.workers

    def __iter__(self) -> Iterator[Any]:
        datasets = [self.federated_dataset[name] for name in self.workers]
        if self.iter_per_worker:
            return map(_together, zip(*map(self._batches, datasets), strict=False))
        return self._several(datasets) if self.num_iterators > 1 else self._one_by_one(datasets)

    def __len__(self) -> int:
        """How many steps an epoch has."""
        counts = [self._count(len(self.federated_dataset[name])) for name in self.workers]
        if self.iter_per_worker:
            return min(counts, default=0)
        steps = [0] * self.num_iterators
        for count in counts:  # each goes where one is through first
            steps[steps.index(min(steps))] += count
        return max(steps)

    def _one_by_one(self, datasets: list[BaseDataset]) -> Iterator[Batch]:
        for dataset in datasets:
            yield from self._batches(dataset)

    def _several(self, datasets: list[BaseDataset]) -> Iterator[Batches]:
        waiting = map(self._batches, datasets)
        running = [iterator for _, iterator in zip(range(self.num_iterators), waiting, strict=False)]
        while True:
            step: list[Batch] = []
            for place, iterator in enumerate(running):
                while (batch := next(iterator, None)) is None:
                    following = next(waiting, None)
                    if following is None:
                        break
                    iterator = running[place] = following
                if batch is not None:
                    step.append(batch)
            if not step:
                return
            yield _together(step)

    def _batches(self, dataset: BaseDataset) -> Iterator[Batch]:
        order = _order(dataset) if self.shuffle and len(dataset) else None
        for start in range(0, self._count(len(dataset)) * self.batch_size, self.batch_size):
            rows = slice(start, min(start + self.batch_size, len(dataset)))
            yield dataset[rows] if order is None else dataset[order[rows]]

    def _count(self, rows: int) -> int:
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)


def _order(dataset: BaseDataset) -> Tensor:
    """A new order of the examples, on their worker: it travels once in an epoch."""
    return send_tensor(torch.randperm(len(dataset)), dataset.location)


def _together(batches: Any) -> Batches:
    return Batches((data.location, (data, target)) for data, target in batches)
