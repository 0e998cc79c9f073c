"""Examples that are held in memory, as whole tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch

from fedzmq.data.examples import Batch, Column, Examples, Indexed

FEATURES, TARGETS = "features", "targets"  # what the columns are called where nobody named them


@dataclass(frozen=True, slots=True, eq=False)
class Data(Indexed):
    """Examples by row. Without classes it is a regression.

    features: (rows, ...) float32, or int64 where the owner's own code gave whole numbers wider than a byte.
    targets: (rows,) int64 from 0 to classes - 1, or (rows, outputs) float32 where classes is None.
    others: what a model of several inputs takes after the features, each like them.
    names: of the columns, where they have names of their own.
    """

    name: str
    features: torch.Tensor
    targets: torch.Tensor
    classes: int | None
    others: tuple[torch.Tensor, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def tensors(self) -> Batch:
        """One for each column."""
        return (self.features, *self.others, self.targets)

    @property
    def columns(self) -> tuple[Column, ...]:
        names = self.names or (FEATURES, *(f"{FEATURES}{number}" for number in range(2, len(self.others) + 2)), TARGETS)
        return tuple(
            Column(name, each.dtype, tuple(each.shape[1:])) for name, each in zip(names, self.tensors, strict=True)
        )

    def __len__(self) -> int:
        return len(self.features)

    def take(self, index: torch.Tensor) -> Batch:
        return tuple(each[index] for each in self.tensors)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        yield from zip(*(torch.split(each, batch_size) for each in self.tensors), strict=True)

    def rows(self, index: torch.Tensor) -> Data:
        """These examples alone, copied."""
        features, *others, targets = self.take(index)
        return replace(self, features=features, others=tuple(others), targets=targets)

    def called(self, name: str) -> Data:
        return replace(self, name=name)


def first_of(examples: Examples, most: int = 2) -> Data:
    """The first few examples, in memory."""
    features, *others, targets = next(islice(examples.in_order(most), 1))
    names = tuple(column.name for column in examples.columns)
    return Data(examples.name, features, targets, examples.classes, tuple(others), names)
