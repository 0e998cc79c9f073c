"""Tables as text, .csv: read whole, because where a row begins is not to be known.

What is wrong in one is said with its row and column, so that its owner can mend it.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fedzmq.data.examples import Examples
from fedzmq.data.forms import Form
from fedzmq.data.keys import check_index, column_called, target_column
from fedzmq.data.opening import check_whole, held
from fedzmq.errors import DataError

WORDS = ("true", "false")
MOST_LINE = 1 << 26  # characters: of as many columns as any table has

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def read_csv(source: str, path: Path, memory: int, without: str | None = None) -> Examples:
    """In memory, whatever `memory` says. `without` is a column to leave out. Raises DataError."""
    way_out = "fedzmq data split --workers 1 --holdout 0 --format parquet"
    check_whole(source, path.stat().st_size, "write the table as .parquet, which is read as it is needed")
    note = f"in memory, because a .csv has to be read whole: {way_out} makes another file of it"
    try:
        arrays, target = _csv(source, path, without)
    except csv.Error as error:
        raise DataError(source, f"it is not a table of numbers with commas between: {error}") from error
    form = Form(floats=True, target=target)
    return held(source, arrays, form, note if path.stat().st_size > memory else "")


def _csv(source: str, path: Path, without: str | None) -> tuple[Arrays, str]:
    """Comma-separated numbers, one example a row, with or without a first row of column names; the target's name.

    A column that begins with true or false has these words alone, which are 1 and 0.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(_lines(source, file))
    except UnicodeDecodeError as error:
        raise DataError(source, "it is not UTF-8 text; save the table as CSV in UTF-8") from error
    if not lines:
        raise DataError(source, "the file has no rows")
    first = next(csv.reader(lines[:1]))
    names = [cell.strip() for cell in first] if _are_names(first) else None
    rows = lines if names is None else lines[1:]
    if without is not None:
        names = names or []
        place = column_called(source, without, names)
        first = [*first[:place], *first[place + 1 :]]
        names = [*names[:place], *names[place + 1 :]]
        rows = [",".join((*cells[:place], *cells[place + 1 :])) for cells in csv.reader(rows)]
    if not rows:
        raise DataError(source, "the file has a row of column names and no examples under it")
    if len(first) < 2:
        raise DataError(source, f"the rows have one column, and features and a target are needed{_separated(lines[0])}")
    if names is not None:
        check_index(source, names)
    called = names or [""] * len(first)
    target = target_column(source, called)
    words = {place: _truth for place, cell in enumerate(next(csv.reader(rows[:1]))) if _is_word(cell)}
    read = partial(np.loadtxt, rows, delimiter=",", quotechar='"', comments=None, encoding="utf-8")
    try:
        table = read(ndmin=2, converters=words)
        cells = table[:, target] if target in words else read(ndmin=1, dtype=str, usecols=[target])
        if table.shape[1] != len(first):
            raise ValueError
    except ValueError:
        raise DataError(source, _first_fault(rows, names, len(first), words)) from None
    return (np.delete(table, target, axis=1), _class_numbers(cells, table[:, target])), called[target]


def _lines(source: str, file: TextIO) -> Iterator[str]:
    """But for those that are empty. One without an end is not looked for."""
    for line in iter(partial(file.readline, MOST_LINE), ""):
        if len(line) == MOST_LINE:
            raise DataError(source, f"it is no table: a line of it has more than {MOST_LINE:,} characters")
        if line.strip():
            yield line


def _class_numbers(cells: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Targets written without a decimal point are classes, and the others measurements."""
    try:
        return cells.astype(np.int64)
    except ValueError:
        return values


def _first_fault(rows: Sequence[str], names: Sequence[str] | None, width: int, words: Collection[int]) -> str:
    """Why a table does not read as numbers: a slow second look, taken only when the fast one failed."""
    for number, row in enumerate(csv.reader(rows), start=1):
        if len(row) != width:
            return f"example {number} has {len(row)} columns, and the first row has {width}"
        for column, cell in enumerate(row):
            if not (_is_word(cell) if column in words else _is_number(cell)):
                where = f"column {names[column]!r}" if names is not None else f"column {column + 1}"
                found = f"the text {cell!r}" if cell.strip() else "nothing"
                wanted = "true or false" if column in words else "a number"
                return f"example {number} has {found} in {where}, and {wanted} was expected (classes: 0, 1, 2, ...)"
    return "its rows do not read as numbers separated by commas"


def _separated(line: str) -> str:
    """What a row of one column is probably separated by instead."""
    for mark, word in ((";", "';'"), ("\t", "tabs")):
        if mark in line:
            return f"; they seem to be separated by {word}: save the table with commas"
    return ", separated by commas"


def _are_names(first: Sequence[str]) -> bool:
    """What is no value; and 0, 1, 2, ..., which pandas calls columns that nobody named."""
    numbers = [str(number) for number in range(len(first))]
    return not all(map(_is_value, first)) or (len(first) > 2 and list(first) == numbers)


def _is_value(cell: str) -> bool:
    return _is_number(cell) or _is_word(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_word(cell: str) -> bool:
    return cell.strip().lower() in WORDS


def _truth(cell: str) -> float:
    if not _is_word(cell):
        raise ValueError
    return float(cell.strip().lower() == "true")
