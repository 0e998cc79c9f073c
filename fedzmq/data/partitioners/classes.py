"""Each worker has examples of so many classes and no others: the label limit of Li et al. 2022 (arXiv:2102.02079,
section 4.1, quantity-based label imbalance), after the pathological case of McMahan et al. 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import Marks, Partitioner, Rows, dealt, even
from fedzmq.errors import DataError


@dataclass(frozen=True, slots=True)
class Classes(Partitioner):
    """Each worker gets `per_worker` classes, each as often as the next or once more; who share one share it evenly."""

    per_worker: int = 2

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        labels = marks.labels()
        present = np.unique(labels)
        if not 1 <= self.per_worker <= len(present):
            raise DataError(
                marks.name, f"{self.per_worker} classes per worker were asked for, and there are {len(present)}"
            )
        if parts * self.per_worker < len(present):
            raise DataError(
                marks.name,
                f"{parts} workers with {self.per_worker} classes each leave some of the {len(present)} classes to "
                "nobody; ask for more workers, or more classes each",
            )
        holders = self._holders(len(present), parts, stream)
        owners = np.empty(len(marks), dtype=np.int64)
        for number, label in enumerate(present):
            members = stream.permutation(np.flatnonzero(labels == label))
            sizes = np.zeros(parts, dtype=np.int64)
            sizes[holders[number]] = even(len(members), len(holders[number]))
            dealt(members, sizes, owners)
        return owners

    def _holders(self, classes: int, parts: int, stream: np.random.RandomState) -> list[list[int]]:
        """The workers of each class: everyone takes, in turn, classes that fewest have taken."""
        holders: list[list[int]] = [[] for _ in range(classes)]
        for worker in range(parts):
            taken = np.array([len(each) for each in holders])
            for number in np.lexsort((stream.permutation(classes), taken))[: self.per_worker]:
                holders[number].append(worker)
        for each in holders:
            stream.shuffle(each)  # or the first workers would always have the one row that is left over
        return holders
