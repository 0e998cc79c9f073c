"""The dtypes that travel, by name. A name is looked up in a table and never in torch."""

from __future__ import annotations

import torch

from fedzmq.errors import ProtocolError, UsageError

DTYPES: dict[str, torch.dtype] = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "uint16": torch.uint16,
    "int16": torch.int16,
    "uint32": torch.uint32,
    "int32": torch.int32,
    "uint64": torch.uint64,
    "int64": torch.int64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "complex32": torch.complex32,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e4m3fnuz": torch.float8_e4m3fnuz,
    "float8_e5m2": torch.float8_e5m2,
    "float8_e5m2fnuz": torch.float8_e5m2fnuz,
}
if hasattr(torch, "float8_e8m0fnu"):  # from torch 2.7 on
    DTYPES["float8_e8m0fnu"] = torch.float8_e8m0fnu

NAMES: dict[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}


def dtype_of(name: str) -> torch.dtype:
    """Raises ProtocolError for a name that is not in the table."""
    dtype = DTYPES.get(name)
    if dtype is None:
        raise ProtocolError(f"{name!r:.60} is no dtype of the wire (known: {', '.join(DTYPES)})")
    return dtype


def name_of(dtype: torch.dtype) -> str:
    """Raises UsageError for a dtype that does not travel, such as a quantised one."""
    name = NAMES.get(dtype)
    if name is None:
        raise UsageError(f"a tensor of {dtype} cannot travel (those that can: {', '.join(DTYPES)}); convert it first")
    return name
