"""NumPy's archive of arrays, .npz. What numpy.savez wrote is mapped; what was compressed has to be read whole."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fedzmq.data.examples import Examples
from fedzmq.data.keys import CLASSES, chosen
from fedzmq.data.mapped import MappedArray, MappedRows
from fedzmq.data.npy import Head, read_head
from fedzmq.data.opening import check_whole, held, lazy
from fedzmq.errors import DataError

MOST_NUMBER = 1024  # bytes of an array that is one number

_LOCAL = struct.Struct("<4s5H3L2H")  # what stands before a member: its name and an extra field follow


def read_npz(source: str, path: Path, memory: int) -> Examples:
    """Mapped where the arrays take more than `memory` bytes and lie uncompressed, in memory otherwise."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            names, form = chosen(source, list(members))
            form = replace(form, classes=_classes(source, archive, members))
            infos = [members[name] for name in names]
            heads = [_head(source, archive, info, path.stat().st_size) for info in infos]
            is_large = sum(head.held_bytes for head in heads) > memory
            if is_large and _can_be_mapped(infos, heads):
                mapped = [_mapped(source, path, info, head) for info, head in zip(infos, heads, strict=True)]
                return lazy(source, MappedRows(source, mapped), form, "the file")
            cause = _cause(infos)
            check_whole(source, sum(max(head.nbytes, head.held_bytes) for head in heads), cause)
            arrays = [_array(archive, info, head) for info, head in zip(infos, heads, strict=True)]
            return held(source, arrays, form, f"in memory, because {cause}" if is_large else "")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise DataError(source, "it is not an .npz archive of plain numbers, as numpy.savez writes it") from error


def _head(source: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> Head:
    name = info.filename.removesuffix(".npy")
    if info.compress_type == zipfile.ZIP_STORED and info.header_offset + info.file_size > size:
        raise DataError(source, f"the file ends before {name} does: it was cut off")
    with archive.open(info) as file:
        head = read_head(source, name, file)
    follow = info.file_size - head.offset
    if head.nbytes != follow:
        raise DataError(source, f"{name} says that it has {head.nbytes:,} bytes, and {follow:,} follow")
    return head


def _classes(source: str, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> int | None:
    """How many the file says that there are. Another array of that name is none of ours."""
    info = members.get(CLASSES)
    if info is None or info.file_size > MOST_NUMBER:
        return None
    with archive.open(info) as file:
        try:
            value = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError:
            return None
    return int(value) if value.shape == () and value.dtype.kind in "iu" else None


def _can_be_mapped(infos: list[zipfile.ZipInfo], heads: list[Head]) -> bool:
    return all(info.compress_type == zipfile.ZIP_STORED for info in infos) and not any(h.by_columns for h in heads)


def _cause(infos: list[zipfile.ZipInfo]) -> str:
    """Why arrays cannot stay in their file, and what they can be made to."""
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        return "its arrays are compressed: numpy.savez writes them so that they can stay in the file"
    return "its arrays lie by columns: save what numpy.ascontiguousarray makes of them"


def _mapped(source: str, path: Path, info: zipfile.ZipInfo, head: Head) -> MappedArray:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = _LOCAL.unpack(file.read(_LOCAL.size))
    begin = info.header_offset + _LOCAL.size + local[-2] + local[-1]
    return MappedArray(source, path, begin + head.offset, head.dtype, head.shape)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, head: Head) -> np.ndarray[Any, Any]:
    """Into memory, of which no more is taken than the archive was checked to hold."""
    flat = np.empty(head.nbytes // head.dtype.itemsize, head.dtype)
    view = flat.view(np.uint8)
    with archive.open(info) as file:
        file.read(head.offset)
        done = 0
        while done < head.nbytes:
            part = file.read(min(1 << 20, head.nbytes - done))
            if not part:
                raise EOFError
            view[done : done + len(part)] = np.frombuffer(part, np.uint8)
            done += len(part)
        file.read()  # so that the checksum is looked at
    return flat.reshape(head.shape, order="F" if head.by_columns else "C")
