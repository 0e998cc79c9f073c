"""Rows sorted by target and cut into shards, as McMahan et al. 2017 split MNIST (arXiv:1602.05629, section 3).

There, 60,000 images were 200 shards of 300, two for each of 100 workers, most of whom saw two digits only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import Marks, Partitioner, Rows, dealt, even
from fedzmq.errors import DataError


@dataclass(frozen=True, slots=True)
class Shards(Partitioner):
    """Each worker gets `per_worker` shards, drawn at random; a shard is as large as the next, or one larger."""

    per_worker: int = 2

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        if self.per_worker < 1:
            raise DataError(marks.name, f"{self.per_worker} shards per worker were asked for, and 1 is the least")
        shards = parts * self.per_worker
        if len(marks) < shards:
            raise DataError(
                marks.name,
                f"{len(marks)} examples cannot be cut into {shards} shards; ask for fewer workers, or shards each",
            )
        mixed = stream.permutation(len(marks))  # so that chance, and not the file, orders rows of one target
        targets = marks.targets.reshape(len(marks), -1)[:, 0].numpy()
        shard = np.empty(len(marks), dtype=np.int64)
        dealt(mixed[np.argsort(targets[mixed], kind="stable")], even(len(marks), shards), shard)
        owners: Rows = (stream.permutation(shards) // self.per_worker)[shard]
        return owners
