"""Examples whose measurements are brought to another precision as they are read, such as that of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from fedzmq.data.examples import Batch, Column, Examples


def cast(examples: Examples, dtypes: Sequence[torch.dtype]) -> Examples:
    """The same with columns of these dtypes, one for each, as far as both are floating-point: whole numbers stay so."""
    own = [column.dtype for column in examples.columns]
    wanted = tuple(
        new if new.is_floating_point and old.is_floating_point else old for new, old in zip(dtypes, own, strict=True)
    )
    return examples if list(wanted) == own else Cast(examples.name, examples.classes, examples, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Cast(Examples):
    """dtypes: one for each column of `examples`."""

    name: str
    classes: int | None
    examples: Examples
    dtypes: tuple[torch.dtype, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(
            replace(column, dtype=dtype) for column, dtype in zip(self.examples.columns, self.dtypes, strict=True)
        )

    @property
    def manner(self) -> str:
        return self.examples.manner

    def __len__(self) -> int:
        return len(self.examples)

    def shuffled(self, batch_size: int, epoch: int, seed: int) -> Iterator[Batch]:
        return map(self._cast, self.examples.shuffled(batch_size, epoch, seed))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        return map(self._cast, self.examples.in_order(batch_size))

    def rows(self, index: torch.Tensor) -> Cast:
        return replace(self, examples=self.examples.rows(index))

    def called(self, name: str) -> Cast:
        return replace(self, name=name)

    def _cast(self, batch: Batch) -> Batch:
        return tuple(column.to(dtype) for column, dtype in zip(batch, self.dtypes, strict=True))
