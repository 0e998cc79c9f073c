"""Examples into a file that `load` reads back to the same bits, batch by batch: never all of them in memory.

How many classes there are is written with them, because a worker's share may lack the last ones.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fedzmq.data.arrow import pyarrow_for
from fedzmq.data.examples import Column, Examples
from fedzmq.data.keys import CLASSES
from fedzmq.errors import DataError
from fedzmq.files.whole_file import WholeFile

AT_ONCE = 4096  # examples
ROW_GROUP = 16_384  # examples: what is read of a parquet file at once, and drawn anew in each epoch

_KINDS = {"float32": "F32", "int64": "I64"}


def write(examples: Examples, path: Path) -> None:
    """In the form that the path's ending says, one of WRITERS. A file that is there is replaced whole.

    Raises DataError for examples that such a file cannot hold.
    """
    with WholeFile(path.parent) as whole:
        WRITERS[path.suffix](examples, whole.file)
        whole.become(path.name, lasting=False)


def _npz(examples: Examples, whole: BinaryIO) -> None:
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for place, (name, column) in enumerate(zip(_keys(examples), examples.columns, strict=True)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                head = {"descr": _dtype(column).str, "fortran_order": False, "shape": (len(examples), *column.shape)}
                np.lib.format.write_array_header_1_0(file, head)
                for part in _parts(examples, place):
                    file.write(part)
        if examples.classes is not None:
            with archive.open(f"{CLASSES}.npy", "w") as file:
                np.lib.format.write_array(file, np.array(examples.classes), allow_pickle=False)


def _tensor_file(examples: Examples, file: BinaryIO) -> None:
    header: dict[str, Any] = {} if examples.classes is None else {"__metadata__": {CLASSES: str(examples.classes)}}
    begin = 0
    for name, column in zip(_keys(examples), examples.columns, strict=True):
        end = begin + column.nbytes * len(examples)
        shape = [len(examples), *column.shape]
        header[name] = {"dtype": _KINDS[_dtype(column).name], "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin where a processor likes them
    file.write(struct.pack("<Q", len(text)) + text)
    for place in range(len(examples.columns)):
        for part in _parts(examples, place):
            file.write(part)


def _parquet(examples: Examples, file: BinaryIO) -> None:
    arrow = pyarrow_for(f"of {examples.name}")
    *inputs, _ = examples.columns
    for column in inputs:
        if len(column.shape) != 1:
            shape = "x".join(map(str, column.shape))
            raise DataError(
                examples.name, f"its {column.name} are {shape}, and parquet has columns: write .npz or .safetensors"
            )
    is_table = len(inputs) == 1 and inputs[0].dtype.is_floating_point
    schema, writer, held = None, None, 0
    batches = examples.in_order(ROW_GROUP)
    try:
        for *features, targets in batches:
            columns: dict[str, Any] = {}
            if is_table:
                columns = {f"f{number}": values.numpy() for number, values in enumerate(features[0].unbind(1))}
            else:
                for column, values in zip(inputs, features, strict=True):
                    flat = arrow.array(values.flatten().numpy())
                    columns[column.name] = arrow.FixedSizeListArray.from_arrays(flat, column.shape[0])
            if targets.dim() > 1 and targets.shape[1] > 1:
                raise DataError(examples.name, "it has several targets, and a table has one: write .npz instead")
            columns["target"] = targets.flatten().numpy()
            table = arrow.table(columns)
            if writer is None:
                told = {} if examples.classes is None else {f"fedzmq.{CLASSES}": str(examples.classes)}
                schema = table.schema.with_metadata(told)
                writer = arrow.parquet.ParquetWriter(file, schema)
            writer.write_table(table.cast(schema), row_group_size=ROW_GROUP)
            held += len(targets)
    finally:
        if writer is not None:
            writer.close()


WRITERS: dict[str, Callable[[Examples, BinaryIO], None]] = {
    ".npz": _npz,
    ".safetensors": _tensor_file,
    ".parquet": _parquet,
}


def _keys(examples: Examples) -> list[str]:
    """What `load` takes for the inputs and the target: x0 and so on where whole numbers are to stay whole."""
    *inputs, _ = examples.columns
    if len(inputs) == 1 and inputs[0].dtype.is_floating_point:
        return ["x", "y"]
    return [*(f"x{number}" for number in range(len(inputs))), "y"]


def _dtype(column: Column) -> np.dtype[Any]:
    return np.dtype("<f4" if column.dtype.is_floating_point else "<i8")


def _parts(examples: Examples, place: int) -> Iterator[memoryview]:
    """The bytes of one column, some examples at a time."""
    dtype = _dtype(examples.columns[place])
    for batch in examples.in_order(AT_ONCE):
        yield np.ascontiguousarray(batch[place].numpy(), dtype).data.cast("B")
