"""What every way to share a data set out has in common: every row goes to exactly one worker, and every worker has one.

Who gets what follows from the seed alone, so that workers split one set between them without a word, each in its own
process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fedzmq.errors import DataError

SPLIT = 2  # the purpose of the draws: what is held out must not depend on how the rest is split

Rows = np.ndarray[Any, np.dtype[np.int64]]
Shares = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What is known of each row when a set is shared out: its target, and the group that it belongs to.

    `name` is the set's, for errors. groups: (rows,) int64, as a file's column says; None where none was named.
    """

    name: str
    targets: torch.Tensor
    groups: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, index: torch.Tensor) -> Marks:
        """Of these rows alone."""
        return Marks(self.name, self.targets[index], None if self.groups is None else self.groups[index])

    def labels(self) -> Rows:
        """The class of each row. Raises DataError where the targets are measurements."""
        if self.targets.is_floating_point():
            raise DataError(
                self.name,
                "its targets are measurements, and only classes can be shared out so; iid and quantity take both",
            )
        classes: Rows = self.targets.numpy()
        return classes


class Partitioner(ABC):
    """A way to share out. Its numbers are the fields of a frozen dataclass."""

    __slots__ = ()

    def split(self, marks: Marks, parts: int, seed: int) -> list[torch.Tensor]:
        """The rows of each worker, in the set's order. Raises DataError where it cannot be done."""
        if len(marks) < parts:
            raise DataError(
                marks.name, f"{len(marks)} examples cannot give {parts} workers one each; ask for fewer workers"
            )
        owners = self.owners(marks, parts, stream(seed, SPLIT))
        sizes = np.bincount(owners, minlength=parts)
        if not sizes.all():
            raise DataError(
                marks.name, f"worker {int(sizes.argmin()) + 1} of {parts} would get no examples; ask for fewer workers"
            )
        return [torch.from_numpy(np.flatnonzero(owners == number)) for number in range(parts)]

    @abstractmethod
    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        """For each row, the worker from 0 that gets it. Raises DataError."""


def stream(seed: int, purpose: int) -> np.random.RandomState:
    """A source of draws that no other purpose shares."""
    # RandomState, because its draws are frozen for all releases of NumPy (NEP 19), and workers may have different ones.
    return np.random.RandomState([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, purpose])


def dealt(rows: Rows, sizes: Rows, owners: Rows) -> None:
    """Give the first so many of `rows` to worker 0, the next to worker 1, and so on."""
    for number, taken in enumerate(np.split(rows, np.cumsum(sizes)[:-1])):
        owners[taken] = number


def even(rows: int, parts: int) -> Rows:
    """Sizes of which each is as large as the next, or one larger."""
    sizes = np.full(parts, rows // parts, dtype=np.int64)
    sizes[: rows % parts] += 1
    return sizes


def dirichlet_shares(stream: np.random.RandomState, parts: int, alpha: float) -> Shares:
    """One draw from a symmetric Dirichlet, as normalised gammas."""
    weights = stream.standard_gamma(alpha, size=parts)
    total = weights.sum()
    if total == 0:
        # A tiny alpha underflows; its limit is that one part takes all.
        weights[stream.randint(parts)] = total = 1.0
    shares: Shares = weights / total
    return shares


def check_alpha(name: str, alpha: float) -> None:
    """Raises DataError."""
    if not alpha > 0:
        raise DataError(name, f"alpha is {alpha:g}, and it must be above 0: 0.1 skews much, 100 hardly at all")
