"""Parquet files, read by row groups: a large one streams, group after group, and is never held as a whole.

Of a stream, memory holds a page and a dictionary of each column, which whoever wrote the file made as large as they are
(1 MiB each by default), what is decoded at once, and the package itself; none of it grows with the rows.

Columns of numbers make up the features together, one number each, and stand where the first of them does. A column of
lists, each of one length, is an input of its own. The index of a pandas table is stored as a column, and is none of the
data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from fedzmq.data.arrow import pyarrow_for
from fedzmq.data.examples import Examples
from fedzmq.data.forms import FEATURES, TARGETS, Form
from fedzmq.data.keys import CLASSES, check_index, column_called, target_column
from fedzmq.data.opening import held, streamed
from fedzmq.errors import DataError

CHUNK_BYTES = 1024 * 1024  # of examples that are decoded at once
COLUMN_BYTES = 64 * 1024  # of the file that are read ahead in each column
MOST_EXAMPLE = 1 << 28  # bytes of one
MOST_UNEVEN = 1 << 20  # numbers in lists that are read although they cannot all have one length

Array = np.ndarray[Any, Any]


def read_parquet(source: str, path: Path, memory: int, without: str | None = None) -> Examples:
    """Streamed where the columns take more than `memory` bytes, in memory otherwise.

    `without` is a column to leave out. Raises DataError, and MissingExtraError without pyarrow.
    """
    arrow = pyarrow_for(source)
    try:
        stream = ParquetStream.open(source, path, arrow, without)
        if stream.rows * stream.row_bytes > memory:
            return streamed(source, stream, stream.form, "the file's row groups")
        chunks = [raw for _, raw in stream.chunks(None)]
    except arrow.ArrowException as error:
        raise DataError(source, "it is not a parquet file, or not a whole one") from error
    if not chunks:
        raise DataError(source, "it has no examples")
    return held(source, [np.concatenate(parts) for parts in zip(*chunks, strict=True)], stream.form)


@dataclass(frozen=True, slots=True)
class ParquetStream:
    """The row groups of a file. `inputs` are the columns of each input, the `target` is a column too."""

    source: str
    path: Path
    inputs: tuple[tuple[str, ...], ...]
    target: str
    form: Form
    rows: int
    row_bytes: int

    @property
    def is_fixed(self) -> bool:
        return True

    @classmethod
    def open(cls, source: str, path: Path, arrow: ModuleType, without: str | None) -> ParquetStream:
        """Raises DataError where the columns are no examples."""
        with arrow.parquet.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
        if without is not None:
            column_called(source, without, schema.names)
        skipped = {without, *_index_columns(schema)}
        schema = arrow.schema([field for field in schema if field.name not in skipped], schema.metadata)
        if len(schema) < 2:
            raise DataError(source, f"it has {len(schema)} columns, and features and a target are needed")
        if len(set(schema.names)) < len(schema):
            raise DataError(source, "two of its columns have one name")
        check_index(source, schema.names)
        target = schema.names[target_column(source, schema.names)]
        numbers: list[str] = []
        inputs: list[tuple[str, ...]] = []
        for field in schema:
            is_list = _is_list(field.type, arrow)
            if not is_list and not _is_number(field.type, arrow):
                raise DataError(source, _not_numbers(field, target, arrow))
            if field.name == target:
                continue
            if is_list:
                inputs.append((field.name,))
                continue
            if not numbers:
                inputs.append(())
            numbers.append(field.name)
        inputs = [each or tuple(numbers) for each in inputs]
        names = tuple(FEATURES if each == tuple(numbers) else each[0] for each in inputs)
        is_plain = len(inputs) == 1 and bool(numbers)
        form = Form((FEATURES, TARGETS), floats=True) if is_plain else Form((*names, TARGETS))
        told = (schema.metadata or {}).get(f"fedzmq.{CLASSES}".encode(), b"")
        form = replace(form, classes=int(told) if told.isdigit() else None, target=target)
        row_bytes = _row_bytes(source, schema, metadata, arrow)
        return cls(source, path, tuple(inputs), target, form, metadata.num_rows, row_bytes)

    def chunks(self, drawing: torch.Generator | None) -> Iterator[tuple[int, Sequence[Array]]]:
        arrow = pyarrow_for(self.source)
        at_once = max(1, CHUNK_BYTES // max(1, self.row_bytes))
        try:
            with arrow.parquet.ParquetFile(self.path, buffer_size=COLUMN_BYTES, pre_buffer=False) as file:
                sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
                begins = np.cumsum([0, *sizes]).tolist()
                order = range(len(sizes)) if drawing is None else torch.randperm(len(sizes), generator=drawing).tolist()
                columns = [*chain(*self.inputs), self.target]
                for group in order:
                    first = begins[group]
                    for batch in file.iter_batches(at_once, row_groups=[group], columns=columns, use_threads=False):
                        yield first, self._arrays(batch, first, arrow)
                        first += batch.num_rows
                    arrow.default_memory_pool().release_unused()  # or what a group took stays with this process
        except (arrow.ArrowException, OSError) as error:
            raise DataError(self.source, "it cannot be read to its end: it was cut off or changed") from error

    def _arrays(self, batch: Any, first: int, arrow: ModuleType) -> list[Array]:
        arrays = []
        for names in self.inputs:
            columns = [self._column(batch.column(name), name, first, arrow) for name in names]
            arrays.append(columns[0] if columns[0].ndim > 1 else np.column_stack(columns))
        return [*arrays, self._column(batch.column(self.target), self.target, first, arrow)]

    def _column(self, column: Any, name: str, first: int, arrow: ModuleType) -> Array:
        if column.null_count:
            raise DataError(self.source, _nothing_in(name, first + column.to_pylist().index(None)))
        if not _is_list(column.type, arrow):
            numbers: Array = column.to_numpy(zero_copy_only=False)
            return numbers
        flat = column.flatten()
        if flat.null_count:
            row = next(number for number, values in enumerate(column.to_pylist()) if None in values)
            raise DataError(self.source, _nothing_in(name, first + row))
        width, rest = divmod(len(flat), len(column))
        if not arrow.types.is_fixed_size_list(column.type):
            lengths = arrow.compute.list_value_length(column).to_numpy(zero_copy_only=False)
            if rest or not (lengths == width).all():
                odd = first + int((lengths != lengths[0]).argmax()) + 1
                raise DataError(
                    self.source, f"the list in column {name!r} of example {odd} has another length than the first"
                )
        values: Array = flat.to_numpy(zero_copy_only=False)
        return values.reshape(len(column), width)


def _nothing_in(column: str, row: int) -> str:
    return f"example {row + 1} has nothing in column {column!r}; fill it, or drop such rows"


def _not_numbers(field: Any, target: str, arrow: ModuleType) -> str:
    """Why a column is refused, with the way out where there is one."""
    if not _is_text(field.type, arrow):
        return f"the column {field.name!r} holds {field.type}, and each must hold numbers"
    if field.name == target:
        return f"the target, column {target!r}, holds text, and numbers were expected (classes: 0, 1, 2, ...)"
    way_out = f"leave it out, or split by it: --how column --column {field.name}"
    return f"the column {field.name!r} holds text, and features are numbers; {way_out}"


def _index_columns(schema: Any) -> list[str]:
    """What pandas took from the table's index, by what it says of the file. A range it describes and does not store."""
    try:
        told = schema.pandas_metadata["index_columns"]
        return [name for name in told if isinstance(name, str)]
    except (TypeError, KeyError, ValueError, RecursionError):  # another wrote it, or another wrote over it
        return []


def _is_number(kind: Any, arrow: ModuleType) -> bool:
    types = arrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_text(kind: Any, arrow: ModuleType) -> bool:
    """As pandas writes a category, too."""
    types = arrow.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type, arrow)
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_list(kind: Any, arrow: ModuleType) -> bool:
    types = arrow.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and _is_number(kind.value_type, arrow)


def _row_bytes(source: str, schema: Any, metadata: Any, arrow: ModuleType) -> int:
    """Of one example in memory, by what the file says of itself. Raises DataError where nobody could hold one.

    Lists of which some are longer than others are found where they are read, unless that would take much.
    """
    total = 0
    for field in schema:
        if not _is_list(field.type, arrow):
            total += 8 if arrow.types.is_integer(field.type) else 4
            continue
        most = 0
        for rows, values in _lengths(metadata, field.name):
            if values % rows and values > MOST_UNEVEN:
                raise DataError(source, f"the lists in column {field.name!r} are not all of one length")
            most = max(most, values // rows)
        total += 8 * most
    if total > MOST_EXAMPLE:
        raise DataError(source, f"an example of it takes {total:,} bytes, and at most {MOST_EXAMPLE:,} can be used")
    return total


def _lengths(metadata: Any, column: str) -> Iterator[tuple[int, int]]:
    """The rows of each group, and how many values a column of lists has in them."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            part = group.column(place)
            if group.num_rows and part.path_in_schema.startswith(f"{column}."):
                yield group.num_rows, part.num_values
