"""Examples that are read as they are needed, any of them by its number: to the same bits as if they were in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch

from fedzmq.data.examples import Batch, Column, Examples, Indexed
from fedzmq.data.forms import Form

READ_BYTES = 4 * 1024 * 1024  # of examples that are read at once, one after the other
SHUFFLED_BYTES = 4 * 1024 * 1024  # of examples that are read from all over a file: each time touches most of it


class Rows(Protocol):
    """Where they are read from."""

    @property
    def is_fixed(self) -> bool:
        """A row is the same whenever it is read."""

    def __len__(self) -> int: ...

    def take(self, index: torch.Tensor) -> Sequence[Any]:
        """One array for each column, of these rows in this order. Raises DataError where they are gone."""


@dataclass(frozen=True, slots=True, eq=False)
class Lazy(Indexed):
    """`form` makes columns of what `source` gives. `chosen` are the rows of it that belong to the set: None is all."""

    name: str
    source: Rows
    form: Form
    described: tuple[Column, ...]
    classes: int | None
    where: str
    chosen: torch.Tensor | None = None

    gathered_bytes: ClassVar[int] = SHUFFLED_BYTES

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.described

    @property
    def manner(self) -> str:
        return f"read from {self.where} as they are needed"

    def __len__(self) -> int:
        return len(self.source) if self.chosen is None else len(self.chosen)

    def sample(self) -> Batch | None:
        """As many as are read at once, from all over the file."""
        if not self.source.is_fixed:
            return None
        many = min(len(self), max(1, READ_BYTES // self.example_bytes))
        return self.take(torch.arange(many) * len(self) // many)

    def take(self, index: torch.Tensor) -> Batch:
        wanted = index if self.chosen is None else self.chosen[index]
        return self.form.apply(self.name, self.source.take(wanted))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Several batches are read at a time, which small ones would each pay for."""
        many = batch_size * max(1, READ_BYTES // max(1, batch_size * self.example_bytes))
        for start in range(0, len(self), many):
            taken = self.take(torch.arange(start, min(start + many, len(self))))
            yield from zip(*(torch.split(column, batch_size) for column in taken), strict=True)

    def rows(self, index: torch.Tensor) -> Examples:
        return replace(self, chosen=index.clone() if self.chosen is None else self.chosen[index])

    def called(self, name: str) -> Examples:
        return replace(self, name=name)
