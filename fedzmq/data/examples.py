"""Examples: what a worker trains on, in batches, whether they lie in memory, in a file, or come one after the other.

Every example has the same columns: what a model takes, in its order, and last the target. Which order an epoch has
follows from the seed alone. Floats are float32, and nothing is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch

from fedzmq.data.batches import batch_sizes, order

GATHERED_BYTES = 16 * 1024 * 1024  # of examples that are put in order at once

Batch: TypeAlias = tuple[torch.Tensor, ...]
"""One tensor (rows, ...) for each column."""


@dataclass(frozen=True, slots=True)
class Column:
    """What every example has one of: the shape is that of one example, without the rows."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Of one example."""
        return self.dtype.itemsize * max(1, torch.Size(self.shape).numel())


class Examples(ABC):
    """`len` examples of the same columns. `classes` is how many classes the targets have, None in a regression.

    The target is int64 from 0 to classes - 1 and one number, or float32 and (outputs,).
    """

    __slots__ = ()

    name: str
    classes: int | None

    @property
    @abstractmethod
    def columns(self) -> tuple[Column, ...]:
        """The model's inputs in its order, and last the target."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def shuffled(self, batch_size: int, epoch: int, seed: int) -> Iterator[Batch]:
        """The batches of an epoch, of the sizes that `batch_sizes` says, each example once.

        Raises DataError where examples cannot be read any more.
        """

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """The examples as they come, the last batch as large as it happens to be; whoever takes one may write to it.

        Raises DataError.
        """

    @abstractmethod
    def rows(self, index: torch.Tensor) -> Examples:
        """These examples alone, each named once. The number of classes stays that of the whole."""

    @abstractmethod
    def called(self, name: str) -> Examples:
        """The same under another name."""

    def sample(self) -> Batch | None:
        """Examples by which the set can be known again, the same at every call; None where there are none such.

        Raises DataError.
        """
        return None

    @property
    def manner(self) -> str:
        """Where the examples are, for their owner to read; empty for those in memory."""
        return ""

    @property
    def target(self) -> str:
        """What their table calls the target's column, for its owner to check; empty where nothing is called so."""
        return ""

    @property
    def example_bytes(self) -> int:
        """Of one example in memory."""
        return sum(column.nbytes for column in self.columns)

    def steps(self, batch_size: int) -> int:
        """How many batches an epoch has."""
        return len(batch_sizes(len(self), batch_size))


class Indexed(Examples):
    """Examples of which any can be had by its number: shuffled as a whole, to the same bits wherever they lie."""

    __slots__ = ()

    gathered_bytes: ClassVar[int] = GATHERED_BYTES

    @abstractmethod
    def take(self, index: torch.Tensor) -> Batch:
        """These examples in this order, copied."""

    def shuffled(self, batch_size: int, epoch: int, seed: int) -> Iterator[Batch]:
        """Many batches are gathered at a time: for each alone it costs as much as a small model's step."""
        rows = order(len(self), epoch, seed)
        sizes = batch_sizes(len(self), batch_size)
        many = max(1, self.gathered_bytes // max(1, batch_size * self.example_bytes))
        for start in range(0, len(sizes), many):
            some = sizes[start : start + many]
            taken = self.take(rows[start * batch_size :][: sum(some)])
            yield from zip(*(column.split_with_sizes(some) for column in taken), strict=True)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        rows = len(self)
        for start in range(0, rows, batch_size):
            yield self.take(torch.arange(start, min(start + batch_size, rows)))
