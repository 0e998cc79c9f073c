"""One .npy file for each column: a folder of them, or their names with commas between, the target last."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedzmq.data.examples import Examples
from fedzmq.data.forms import FEATURES, TARGETS, Form
from fedzmq.data.keys import chosen
from fedzmq.data.mapped import MappedArray, MappedRows
from fedzmq.data.npy import Head, read_head
from fedzmq.data.opening import check_whole, held, lazy
from fedzmq.errors import DataError

SUFFIX = ".npy"


def names_arrays(source: str) -> bool:
    """Whether this reads as `x.npy,y.npy`, or is a folder with such files in it."""
    path = Path(source).expanduser()
    return source.lower().endswith(SUFFIX) or (path.is_dir() and any(path.glob("*" + SUFFIX)))


def read_arrays(source: str, memory: int) -> Examples:
    """Mapped where the arrays take more than `memory` bytes, in memory otherwise. Raises DataError."""
    paths, form = _files(source)
    heads = []
    for path in paths:
        with path.open("rb") as file:
            heads.append(read_head(source, path.name, file))
        if heads[-1].offset + heads[-1].nbytes > path.stat().st_size:
            raise DataError(source, f"{path.name} ends before its array does: it was cut off")
    if sum(head.held_bytes for head in heads) <= memory:
        return held(source, [_whole(path) for path in paths], form)
    if any(head.by_columns for head in heads):
        cause = "an array lies by columns: save what numpy.ascontiguousarray makes of it"
        check_whole(source, sum(max(head.nbytes, head.held_bytes) for head in heads), cause)
        return held(source, [_whole(path) for path in paths], form, f"in memory, because {cause}")
    mapped = [_mapped(source, path, head) for path, head in zip(paths, heads, strict=True)]
    return lazy(source, MappedRows(source, mapped), form, "the files")


def _files(source: str) -> tuple[list[Path], Form]:
    folder = Path(source).expanduser()
    if folder.is_dir():
        names, form = chosen(source, sorted(path.stem for path in folder.glob("*" + SUFFIX)), "folder")
        return [folder / (name + SUFFIX) for name in names], form
    paths = [Path(part.strip()).expanduser() for part in source.split(",")]
    if len(paths) < 2:
        raise DataError(source, "it is one array: name the features' file and the target's, as in x.npy,y.npy")
    for path in paths:
        if not path.is_file():
            raise DataError(source, f"there is no such file (looked at {path.absolute()})")
    if len(paths) == 2:
        return paths, Form((FEATURES, TARGETS), floats=True)
    return paths, Form(tuple(path.stem for path in paths))


def _whole(path: Path) -> object:
    return np.load(path, allow_pickle=False)


def _mapped(source: str, path: Path, head: Head) -> MappedArray:
    return MappedArray(source, path, head.offset, head.dtype, head.shape)
