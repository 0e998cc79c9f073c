"""Label skew: each class is shared out in proportions drawn from Dirichlet(alpha, ..., alpha).

Yurochkin et al. 2019 (arXiv:1905.12022); Li et al. 2022 (arXiv:2102.02079). Hsu et al. 2019 (arXiv:1909.06335) draw the
other way round, each part's mix of classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import Marks, Partitioner, Rows, check_alpha, dirichlet_shares
from fedzmq.errors import DataError


@dataclass(frozen=True, slots=True)
class Dirichlet(Partitioner):
    """A small alpha gives parts that hold few classes and differ in size, a large one approaches an even split.

    A part that came out smaller than `minimum` is filled up from the largest.
    """

    alpha: float = 1.0
    minimum: int = 1

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        check_alpha(marks.name, self.alpha)
        classes = marks.labels()
        if len(marks) < parts * self.minimum:
            raise DataError(
                marks.name,
                f"{len(marks)} examples cannot give {parts} workers at least {self.minimum} each; ask for fewer "
                "workers",
            )
        owners = np.empty(len(marks), dtype=np.int64)
        for label in np.unique(classes):
            members = stream.permutation(np.flatnonzero(classes == label))
            # Rounding the cumulative shares, and not each, loses and doubles no row.
            ends = np.cumsum(dirichlet_shares(stream, parts, self.alpha))[:-1] * len(members)
            for number, taken in enumerate(np.split(members, np.rint(ends).astype(np.int64))):
                owners[taken] = number
        self._fill_up(owners, parts, stream)
        return owners

    def _fill_up(self, owners: Rows, parts: int, stream: np.random.RandomState) -> None:
        sizes = np.bincount(owners, minlength=parts)
        while sizes.min() < self.minimum:
            poorest, richest = int(sizes.argmin()), int(sizes.argmax())
            given = stream.choice(np.flatnonzero(owners == richest))
            owners[given] = poorest
            sizes[richest] -= 1
            sizes[poorest] += 1
