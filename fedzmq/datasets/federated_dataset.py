"""Data sets on several workers, one on each, by the workers' names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.errors import DataError

SOURCE = "FederatedDataset"


class FederatedDataset:
    """A worker is named by its name or by its handle."""

    def __init__(self, datasets: Iterable[BaseDataset]) -> None:
        self.datasets: dict[str, BaseDataset] = {}
        for dataset in datasets:
            if dataset.location is None:
                raise DataError(SOURCE, f"{dataset!r} is not on a worker; send it to one first")
            name = dataset.location.name
            if name in self.datasets:
                raise DataError(SOURCE, f"two data sets are on worker {name!r}; put the rows of both in one")
            self.datasets[name] = dataset
        for dataset in self.datasets.values():
            dataset.federated = True

    @property
    def workers(self) -> list[str]:
        return list(self.datasets)

    def __len__(self) -> int:
        """The examples on all workers."""
        return sum(map(len, self.datasets.values()))

    def __getitem__(self, worker: Any) -> BaseDataset:
        name = worker if isinstance(worker, str) else worker.name
        if name not in self.datasets:
            raise DataError(SOURCE, f"it has nothing on worker {name!r} (it has: {', '.join(self.datasets) or 'none'})")
        return self.datasets[name]

    def get_dataset(self, worker: Any) -> BaseDataset:
        """Take the data set of one worker out of this one, and home."""
        dataset = self[worker]
        name = dataset.location.name
        dataset.come_home()
        del self.datasets[name]
        dataset.federated = False
        return dataset

    def __repr__(self) -> str:
        return f"FederatedDataset({len(self)} examples on {', '.join(self.datasets) or 'no worker'})"
