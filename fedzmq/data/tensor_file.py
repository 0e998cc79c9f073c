"""Tensors in a .safetensors file, which always lie so that they can be mapped."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from fedzmq.data.examples import Examples
from fedzmq.data.keys import CLASSES, chosen
from fedzmq.data.mapped import MappedArray, MappedRows
from fedzmq.data.npy import Head, check_rows
from fedzmq.data.opening import held, lazy
from fedzmq.errors import DataError

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "?",
}
_LENGTH = struct.Struct("<Q")  # of the header, which is JSON and comes first


def read_tensor_file(source: str, path: Path, memory: int) -> Examples:
    """Mapped where the tensors take more than `memory` bytes, in memory otherwise. Raises DataError."""
    try:
        with safe_open(path, framework="np") as file:  # this checks the header against the file
            names, form = chosen(source, list(file.keys()), "file")
            told = (file.metadata() or {}).get(CLASSES, "")
            form = replace(form, classes=int(told) if told.isdecimal() else None)
        with path.open("rb") as raw:
            length = _LENGTH.unpack(raw.read(_LENGTH.size))[0]
            header = json.loads(raw.read(length))
    except (SafetensorError, struct.error, ValueError) as error:
        raise DataError(source, "it is not a whole .safetensors file: it was cut off, or is something else") from error
    heads, arrays = [], []
    for name in names:
        kind, shape, (begin, _) = (header[name][key] for key in ("dtype", "shape", "data_offsets"))
        if kind not in _DTYPES:
            raise DataError(source, f"{name} holds {kind}, and numbers were expected (known: {', '.join(_DTYPES)})")
        check_rows(source, name, shape)
        head = Head(tuple(shape), False, np.dtype(_DTYPES[kind]), _LENGTH.size + length + begin)
        heads.append(head)
        arrays.append(MappedArray(source, path, head.offset, head.dtype, head.shape, bfloat16=kind == "BF16"))
    rows = MappedRows(source, arrays)
    if sum(head.held_bytes for head in heads) > memory:
        return lazy(source, rows, form, "the file")
    return held(source, [each.take(np.arange(len(each))) for each in arrays], form)
