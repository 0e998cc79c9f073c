"""One look at every example when a set is opened: that nothing is missing, and which classes there are.

The owner is told at once, and not a client in the middle of its training.
"""

from __future__ import annotations

import torch

from fedzmq.data.examples import Batch, Column
from fedzmq.errors import DataError

# Whole numbers beyond this, and beyond the number of examples, are taken for measurements and not for classes.
CLASSES_CREDIBLE = 1000
MOST_CLASSES = 1 << 20  # that a file, or a worker, may say that there are: a model is made by it


class Survey:
    """Batches of one set in its order, and what is known after them."""

    def __init__(self, source: str) -> None:
        self.rows = 0
        self._source = source
        self._columns: tuple[Column, ...] | None = None
        self._lowest = 0
        self._highest = -1
        self._are_classes = False

    def add(self, columns: tuple[Column, ...], batch: Batch) -> None:
        """Raises DataError for what no training should meet."""
        if self._columns is None:
            self._columns = columns
        for column, first in zip(columns, self._columns, strict=True):
            if column != first:
                raise DataError(
                    self._source,
                    f"the {column.name} are {_described(column)} from example {self.rows + 1} on, and "
                    f"{_described(first)} before; all must be alike",
                )
        for column, values in zip(columns, batch, strict=True):
            self._check_finite(column.name, values)
        targets = batch[-1]
        if not targets.is_floating_point() and len(targets):
            self._are_classes = True
            self._lowest = min(self._lowest, int(targets.min()))
            self._highest = max(self._highest, int(targets.max()))
            if self._lowest < 0:
                raise DataError(
                    self._source, f"a class is {self._lowest}, and classes count from 0: write 0, 1, 2, ..."
                )
        self.rows += len(targets)

    def columns(self) -> tuple[Column, ...]:
        """What every example has. Raises DataError where there are no examples, or nothing in them."""
        shape = (self.rows, *self._columns[0].shape) if self._columns else (0,)
        if self._columns is None or 0 in shape:
            raise DataError(self._source, f"it has no examples (the features' shape is {shape})")
        return self._columns

    def classes(self, told: int | None = None) -> int | None:
        """How many, or None where the targets are measurements. `told` is what the file says. Raises DataError."""
        if not self._are_classes:
            return None
        highest = self._highest
        if told is not None:
            if not highest < told <= MOST_CLASSES:
                raise DataError(self._source, f"it says that it has {told} classes, and there is a class {highest}")
            return told
        if highest >= max(CLASSES_CREDIBLE, self.rows):
            raise DataError(
                self._source,
                f"whole numbers are classes, and {highest} would make {highest + 1} of them for {self.rows} examples; "
                "number the classes 0, 1, 2, ..., or write measurements with a decimal point",
            )
        return max(highest + 1, 2)

    def _check_finite(self, name: str, values: torch.Tensor) -> None:
        if not values.is_floating_point() or not values.numel():
            return
        finite = values.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            number = self.rows + int((~finite).nonzero()[0]) + 1
            raise DataError(
                self._source, f"the {name} of example {number} are not all finite; fill such values or drop it"
            )


def _described(column: Column) -> str:
    return f"{str(column.dtype).removeprefix('torch.')}{list(column.shape)}"
