"""From arrays as they were stored to columns as examples have them: on the CPU, float32 or int64, a row an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fedzmq.data.examples import Batch, Column
from fedzmq.errors import DataError

FEATURES, TARGETS = "features", "targets"  # what columns are called where nobody named them

_WIDE = {"f": "float64", "i": "int64", "u": "int64", "b": "bool"}


@dataclass(frozen=True, slots=True)
class Form:
    """How one set becomes columns: their names, and whether whole numbers among the inputs are measurements too.

    Without `floats`, whole numbers that are wider than a byte stay int64: an embedding looks them up. classes: how many
    the file says that there are, of which its rows may lack some. target: what the file calls the target's column.
    """

    names: tuple[str, ...] = (FEATURES, TARGETS)
    floats: bool = False
    classes: int | None = None
    target: str = ""

    @classmethod
    def unnamed(cls, inputs: int) -> Form:
        """Of a set with so many inputs, which its owner did not name."""
        return cls((FEATURES, *(f"{FEATURES}{number}" for number in range(2, inputs + 1)), TARGETS))

    def apply(self, source: str, raw: Sequence[object]) -> Batch:
        """Columns of as many rows each. Raises DataError where that cannot be."""
        *inputs, target = (as_tensor(source, name, each) for name, each in zip(self.names, raw, strict=True))
        for name, column in zip(self.names, (*inputs, target), strict=True):
            if column.dim() == 0:
                raise DataError(source, f"the {name} are a single number, and one row per example was expected")
            if len(column) != len(target):
                raise DataError(
                    source, f"it has {len(column)} rows of {name} and {len(target)} targets; each row needs one"
                )
        return (*(self._input(column) for column in inputs), _target(source, target))

    def columns(self, batch: Batch) -> tuple[Column, ...]:
        """What a batch is made of."""
        return tuple(
            Column(name, each.dtype, tuple(each.shape[1:])) for name, each in zip(self.names, batch, strict=True)
        )

    def _input(self, column: torch.Tensor) -> torch.Tensor:
        if self.floats or column.dtype in (torch.bool, torch.uint8):
            column = column.float()
        return (column[:, None] if column.dim() == 1 else column).contiguous()


def as_tensor(source: str, what: str, values: object) -> torch.Tensor:
    """On the CPU and as float32, int64, uint8 or bool, whichever kind it was. Raises DataError."""
    if not isinstance(values, torch.Tensor):
        try:
            array = np.asarray(values)
        except ValueError:
            raise DataError(source, f"the {what} have rows of different lengths; all must be alike") from None
        if array.dtype.kind not in _WIDE:
            found = f"an array of {array.dtype}" if isinstance(values, np.ndarray) else a(values)
            raise DataError(source, f"the {what} are {found}, and numbers were expected (classes: 0, 1, 2, ...)")
        # In the machine's byte order and of a width that torch has, and copied where what came is read-only.
        array = array.astype(_plain(array.dtype), order="C", copy=False)
        values = torch.from_numpy(array if array.flags.writeable else array.copy())
    values = values.detach().cpu()
    if values.layout != torch.strided:
        values = values.to_dense()
    if values.is_complex():
        raise DataError(source, f"the {what} are complex, and real numbers were expected")
    if values.is_floating_point():
        return values.float()
    return values if values.dtype in (torch.bool, torch.uint8) else values.long()


def a(value: object) -> str:
    """A value by its type, as a sentence would: "a list", "an int", "nothing"."""
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _plain(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    if dtype in (np.uint8, np.bool_):
        return dtype
    if dtype.kind == "f" and dtype.itemsize <= 4:
        return np.dtype(np.float32)
    return np.dtype(_WIDE[dtype.kind])


def _target(source: str, target: torch.Tensor) -> torch.Tensor:
    if target.is_floating_point():
        # (rows, 1) and not (rows,): against a model's (rows, 1), a loss would broadcast to (rows, rows).
        return target.reshape(len(target), -1 if len(target) else max(1, target.shape[1:].numel())).contiguous()
    if target.dim() > 1:
        if target.numel() != len(target):
            raise DataError(source, f"the classes have the shape {tuple(target.shape)}; give one number per example")
        target = target.flatten()
    return target.long().contiguous()
