"""Examples that are held in memory, as whole tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch

from fedzmq.data.examples import Batch, Column, Examples, Indexed
from fedzmq.data.forms import Form

TOLD_AT_ONCE = 4096  # examples whose targets are read at once


@dataclass(frozen=True, slots=True, eq=False)
class Data(Indexed):
    """Examples by row. Without classes it is a regression.

    features: (rows, ...) float32, or int64 where the owner's own code gave whole numbers wider than a byte.
    targets: (rows,) int64 from 0 to classes - 1, or (rows, outputs) float32 where classes is None.
    others: what a model of several inputs takes after the features, each like them.
    names: of the columns, where they have names of their own. note: why so large a set is in memory.
    target: what the table that they came from calls the target's column.
    """

    name: str
    features: torch.Tensor
    targets: torch.Tensor
    classes: int | None
    others: tuple[torch.Tensor, ...] = ()
    names: tuple[str, ...] = ()
    note: str = ""
    target: str = ""

    @property
    def manner(self) -> str:
        return self.note

    @property
    def tensors(self) -> Batch:
        """One for each column."""
        return (self.features, *self.others, self.targets)

    @property
    def columns(self) -> tuple[Column, ...]:
        form = Form(self.names) if self.names else Form.unnamed(1 + len(self.others))
        return form.columns(self.tensors)

    @property
    def example_bytes(self) -> int:
        return sum(each.nbytes for each in self.tensors) // max(1, len(self))

    def __len__(self) -> int:
        return self.features.shape[0]

    def sample(self) -> Batch:
        """All of them."""
        return self.tensors

    def take(self, index: torch.Tensor) -> Batch:
        return tuple(each[index] for each in self.tensors)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        for batch in zip(*(torch.split(each, batch_size) for each in self.tensors), strict=True):
            yield tuple(each.clone() for each in batch)

    def rows(self, index: torch.Tensor) -> Data:
        """These examples alone, copied."""
        features, *others, targets = self.take(index)
        return replace(self, features=features, others=tuple(others), targets=targets)

    def called(self, name: str) -> Data:
        return replace(self, name=name)


def first_rows(examples: Examples, most: int = 2) -> Data:
    """The first few examples, in memory."""
    features, *others, targets = next(islice(examples.in_order(most), 1))
    names = tuple(column.name for column in examples.columns)
    return Data(examples.name, features, targets, examples.classes, tuple(others), names)


def targets_of(examples: Examples) -> torch.Tensor:
    """The targets alone, in memory, in the set's order."""
    if isinstance(examples, Data):
        return examples.targets
    return torch.cat([batch[-1] for batch in examples.in_order(TOLD_AT_ONCE)])
