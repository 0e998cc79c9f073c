"""Data files: .csv, .npz and .parquet, each read into features and targets.

What is wrong in a file is said with its row and column, so that its owner can mend it.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedzmq.errors import DataError, MissingExtraError

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

TARGET_COLUMNS = ("target", "label", "y")
FEATURE_KEYS = ("x", "X", "features")
TARGET_KEYS = ("y", "Y", "targets", "labels", "target", "label")


def read_table(source: str) -> Arrays:
    """Features and targets of a file whose name ends in one of TABLES; raises DataError."""
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(source, f"there is no such file (looked at {path.absolute()})")
    if not path.is_file():
        raise DataError(source, "it is not a file; name one file that ends in " + ", ".join(TABLES))
    if path.stat().st_size == 0:
        raise DataError(source, "the file is empty")
    try:
        return TABLES[path.suffix.lower()](source, path)
    except OSError as error:
        raise DataError(source, f"it cannot be read: {error.strerror or error}") from error


def _csv(source: str, path: Path) -> Arrays:
    """Comma-separated numbers, one example a row, with or without a first row of column names."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(source, "it is not UTF-8 text; save the table as CSV in UTF-8") from error
    if not lines:
        raise DataError(source, "the file has no rows")
    first = next(csv.reader(lines[:1]))
    names = None if all(_is_number(cell) for cell in first) else [cell.strip() for cell in first]
    rows = lines if names is None else lines[1:]
    if not rows:
        raise DataError(source, "the file has a row of column names and no examples under it")
    if len(first) < 2:
        raise DataError(source, "the rows have one column, and features and a target are needed, separated by commas")
    target = _target_column(source, names or [""] * len(first))
    try:
        table = np.loadtxt(rows, delimiter=",", quotechar='"', comments=None, ndmin=2)
        cells = np.loadtxt(rows, delimiter=",", quotechar='"', comments=None, ndmin=1, dtype=str, usecols=[target])
        if table.shape[1] != len(first):
            raise ValueError
    except ValueError:
        raise DataError(source, _first_fault(rows, names, len(first))) from None
    return np.delete(table, target, axis=1), _class_numbers(cells, table[:, target])


def _class_numbers(cells: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Targets written without a decimal point are classes, and the others measurements."""
    try:
        return cells.astype(np.int64)
    except ValueError:
        return values


def _first_fault(rows: Sequence[str], names: Sequence[str] | None, width: int) -> str:
    """Why a table does not read as numbers: a slow second look, taken only when the fast one failed."""
    for number, row in enumerate(csv.reader(rows), start=1):
        if len(row) != width:
            return f"example {number} has {len(row)} columns, and the first row has {width}"
        for column, cell in enumerate(row):
            if not _is_number(cell):
                where = f"column {names[column]!r}" if names is not None else f"column {column + 1}"
                found = f"the text {cell!r}" if cell.strip() else "nothing"
                return f"example {number} has {found} in {where}, and a number was expected (classes: 0, 1, 2, ...)"
    return "its rows do not read as numbers separated by commas"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _target_column(source: str, names: Sequence[str]) -> int:
    """The column called target, label or y, and the last one where none is."""
    found = [number for number, name in enumerate(names) if name.lower() in TARGET_COLUMNS]
    if len(found) > 1:
        asked = " and ".join(repr(names[number]) for number in found)
        raise DataError(source, f"the columns {asked} could each be the target; name one of them otherwise")
    return found[0] if found else len(names) - 1


def _npz(source: str, path: Path) -> Arrays:
    """NumPy's archive with one array of features and one of targets."""
    try:
        # Nothing is unpickled: an array of objects is an error here.
        with np.load(path, allow_pickle=False) as archive:
            features = _named(source, archive, FEATURE_KEYS, "features")
            targets = _named(source, archive, TARGET_KEYS, "targets")
            return features, targets
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(source, "it is not an .npz archive of plain numbers, as numpy.savez writes it") from error


def _named(source: str, archive: Any, keys: Sequence[str], what: str) -> np.ndarray[Any, Any]:
    present = [key for key in keys if key in archive.files]
    if len(present) != 1:
        has = ", ".join(archive.files) or "nothing"
        wanted = f"{', '.join(keys[:-1])} or {keys[-1]}"
        raise DataError(source, f"the {what} must be one array called {wanted}, and the archive has {has}")
    array: np.ndarray[Any, Any] = archive[present[0]]
    return array


def _parquet(source: str, path: Path) -> Arrays:
    """A parquet file with one column of numbers per feature, and one for the target."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"reading {source}") from error
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise DataError(source, "it is not a parquet file") from error
    if table.num_columns < 2:
        raise DataError(source, f"it has {table.num_columns} columns, and features and a target are needed")
    target = _target_column(source, table.column_names)
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)):
            raise DataError(source, f"the column {name!r} holds {kind}, and every column must hold numbers")
        if column.null_count:
            raise DataError(source, f"the column {name!r} has {column.null_count} empty cells; fill them or drop rows")
        columns.append(column.to_numpy())
    targets = columns.pop(target)
    return np.column_stack(columns), targets


TABLES: dict[str, Callable[[str, Path], Arrays]] = {".csv": _csv, ".npz": _npz, ".parquet": _parquet}
