"""A column of a file that is no feature, but says which group each row belongs to: its hospital, its writer."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzmq.data.arrow import pyarrow_for
from fedzmq.data.keys import column_called
from fedzmq.data.opening import check_whole
from fedzmq.errors import DataError

Values = np.ndarray[Any, Any]
_KINDS = "biuSU"  # of whole numbers and text


def read_groups(source: str, column: str) -> torch.Tensor:
    """The group of every row, numbered in the order of the column's values. Numbers or text. Raises DataError."""
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if suffix == ".csv":
        values = _csv(source, path, column)
    elif suffix == ".parquet":
        values = _parquet(source, path, column)
    elif suffix == ".npz":
        values = _npz(source, path, column)
    else:
        raise DataError(source, f"it has no column {column!r}: only .csv, .parquet and .npz files can be split by one")
    if values.ndim != 1 or values.dtype.kind not in _KINDS:
        raise _tells_nothing(source, column)
    return torch.from_numpy(np.unique(values, return_inverse=True)[1].astype(np.int64))


def _csv(source: str, path: Path, column: str) -> Values:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(line for line in file if line.strip())
        names = [name.strip() for name in next(rows, [])]
        place = column_called(source, column, names)
        try:
            return np.array([row[place].strip() for row in rows])
        except IndexError:
            raise DataError(source, f"a row has nothing in the column {column!r}") from None


def _parquet(source: str, path: Path, column: str) -> Values:
    arrow = pyarrow_for(source)
    try:
        with arrow.parquet.ParquetFile(path) as file:
            column_called(source, column, file.schema_arrow.names)
            if arrow.types.is_nested(file.schema_arrow.field(column).type):
                raise _tells_nothing(source, column)
        # A text is decoded once, and not again for each row that has it.
        with arrow.parquet.ParquetFile(path, read_dictionary=[column]) as file:
            encoded = file.read(columns=[column]).column(0).dictionary_encode().combine_chunks()
    except arrow.ArrowException as error:
        raise DataError(source, "it is not a parquet file, or not a whole one") from error
    if encoded.null_count:
        empty = encoded.to_pylist().index(None) + 1
        raise DataError(source, f"example {empty} has nothing in column {column!r}; fill it, or drop such rows")
    values: Values = np.array(encoded.dictionary.to_pylist())
    if values.dtype.kind not in _KINDS:
        return values
    ranks = np.unique(values, return_inverse=True)[1]
    found: Values = ranks[encoded.indices.to_numpy()]
    return found


def _npz(source: str, path: Path, column: str) -> Values:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            column_called(source, column, names)
            info = archive.getinfo(column + ".npy")
            check_whole(source, info.file_size, f"split by another column than {column!r}")
            with archive.open(info) as file:
                values: Values = np.lib.format.read_array(file, allow_pickle=False)
                return values
    except (zipfile.BadZipFile, ValueError, EOFError, MemoryError) as error:  # its head claims what does not follow
        raise DataError(source, f"{column!r} is not an array of plain numbers or text") from error


def _tells_nothing(source: str, column: str) -> DataError:
    return DataError(source, f"the column {column!r} has no whole numbers and no text that rows could be told by")
