"""Tensors by name as a file in the format of safetensors, which cannot hold code.

Written tensor by tensor, so that no second copy of them is ever in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch

from fedzmq.errors import ModelError
from fedzmq.tensors.dtypes import name_of

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
_ALIGNED = 8  # bytes that the header is filled up to a multiple of


def write_weights(tensors: Mapping[str, torch.Tensor], file: BinaryIO) -> str:
    """Gives the sha256 of what was written. Tied tensors are written once for each of their names.

    Raises ModelError for a type that the format lacks.
    """
    digest = hashlib.sha256()
    tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].element_size()))  # so that each is aligned
    header = _header(tensors)
    for part in (len(header).to_bytes(8, "little"), header):
        file.write(part)
        digest.update(part)
    for tensor in tensors.values():
        if tensor.numel():
            octets = _octets(tensor)
            file.write(octets)
            digest.update(octets)
    return digest.hexdigest()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a whole file, by name. Raises OSError."""
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise OSError(None, str(error)) from error


def _octets(tensor: torch.Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _header(tensors: Mapping[str, torch.Tensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _TYPES:
            raise ModelError(name, f"it is {name_of(tensor.dtype)}, which the format of the file does not know")
        end = begin + tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % _ALIGNED)
