"""The head of an array as NumPy stores it, read before anything of its size is made. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np

from fedzmq.errors import DataError

READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True, slots=True)
class Head:
    """What an array is, and where in its file the numbers begin."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        """Of the numbers in the file."""
        return self.dtype.itemsize * prod(self.shape)

    @property
    def held_bytes(self) -> int:
        """Of the numbers as examples hold them."""
        return (4 if self.dtype.kind == "f" or self.dtype.itemsize == 1 else 8) * prod(self.shape)


def check_rows(source: str, name: str, shape: Sequence[int]) -> None:
    """Raises DataError where there are no rows, or nothing in them, of which a small file can claim any number."""
    if not shape:
        raise DataError(source, f"{name} is a single number, and one row per example was expected")
    if 0 in shape:
        raise DataError(source, f"it has no examples (the shape of {name} is {tuple(shape)})")


def read_head(source: str, name: str, file: IO[bytes]) -> Head:
    """Raises DataError for what is no array of plain numbers with one row per example."""
    try:
        version = np.lib.format.read_magic(file)
        shape, by_columns, dtype = READERS[version](file)
    except Exception as error:  # the parser of heads raises what its parts raise
        raise DataError(source, f"{name} is not an array of plain numbers, as numpy.save writes it") from error
    if dtype.kind == "O":
        raise DataError(source, f"{name} holds Python objects, which are never read; save an array of plain numbers")
    if dtype.kind not in "fiub":
        raise DataError(source, f"{name} is an array of {dtype}, and numbers were expected (classes: 0, 1, 2, ...)")
    check_rows(source, name, shape)
    return Head(shape, by_columns and len(shape) > 1, dtype, file.tell())
