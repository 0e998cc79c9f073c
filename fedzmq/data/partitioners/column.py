"""The natural split: rows that agree in a column, such as the hospital that they came from, stay together.

Caldas et al. 2018 (LEAF, arXiv:1812.01097) build their benchmarks so: a worker is a writer, a user or a device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import Marks, Partitioner, Rows
from fedzmq.errors import DataError


@dataclass(frozen=True, slots=True)
class Column(Partitioner):
    """Where there are more values than workers, each value goes to whoever has the fewest rows, large ones first."""

    column: str = ""

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        if marks.groups is None:
            raise DataError(marks.name, "say by which column to split it, as in --column hospital")
        groups = marks.groups.numpy()
        sizes = np.bincount(groups)
        there = np.flatnonzero(sizes)
        if len(there) < parts:
            raise DataError(
                marks.name,
                f"the column {self.column!r} has {len(there)} values, which cannot give {parts} workers one each",
            )
        held, owner = np.zeros(parts, dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
        for group in there if len(there) == parts else there[np.argsort(-sizes[there], kind="stable")]:
            owner[group] = held.argmin()
            held[owner[group]] += sizes[group]
        if len(there) == parts:
            owner[there] = np.arange(parts)  # then the first value is the first worker's
        owners: Rows = owner[groups]
        return owners
