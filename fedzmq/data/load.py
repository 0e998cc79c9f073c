"""A data set by what its owner calls it: a built-in name, files, or the owner's own function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from torch.utils.data import Dataset

from fedzmq.data.arrays import names_arrays, read_arrays
from fedzmq.data.bundled import BUNDLED, read_bundled
from fedzmq.data.csv_table import read_csv
from fedzmq.data.examples import Examples
from fedzmq.data.forms import Form
from fedzmq.data.npz import read_npz
from fedzmq.data.opening import HELD_BYTES, held
from fedzmq.data.own_code import names_a_function
from fedzmq.data.owned import read_given, read_owned
from fedzmq.data.parquet import read_parquet
from fedzmq.data.tensor_file import read_tensor_file
from fedzmq.errors import DataError
from fedzmq.suggestion import suggestion

Given: TypeAlias = "Examples | Dataset[Any] | Sequence[object]"
"""What a program may give as data: Examples, a torch Dataset of pairs, or a pair of features and targets."""

TABLES: dict[str, Callable[[str, Path, int, str | None], Examples]] = {".csv": read_csv, ".parquet": read_parquet}
ARRAYS: dict[str, Callable[[str, Path, int], Examples]] = {".npz": read_npz, ".safetensors": read_tensor_file}
FILES = (".csv", ".npz", ".parquet", ".safetensors")


def load(source: str, memory: int = HELD_BYTES, without: str | None = None) -> Examples:
    """Reads a built-in set, a file of FILES, .npy files, or what the owner's own `module:function` returns.

    A set that takes more than `memory` bytes is read as it is needed, where its form allows. Each is looked at once in
    full, so that what is missing is found now. The function takes no arguments and returns features and targets, as two
    arrays or tensors or as a torch Dataset of such pairs; features that are a tuple are several inputs of a model.
    Targets that are whole numbers are classes, and floats are measurements. `without` is a table's column that is no
    feature. Raises DataError, or MissingExtraError where a package is not installed.
    """
    if not source.strip():
        raise DataError(source, "its name is empty; name a built-in set, a file or module:function")
    if source in BUNDLED:
        return held(source, read_bundled(source), Form())
    try:
        suffix = Path(source).suffix.lower()
        if suffix in TABLES:
            return TABLES[suffix](source, _file(source), memory, without)
        if suffix in ARRAYS:
            return ARRAYS[suffix](source, _file(source), memory)
        if names_arrays(source):
            return read_arrays(source, memory)
    except OSError as error:
        raise DataError(source, f"it cannot be read: {error.strerror or error}") from error
    if names_a_function(source):
        return read_owned(source, memory)
    raise DataError(source, _unknown(source))


def examples_of(name: str, given: Given, memory: int = HELD_BYTES) -> Examples:
    """What a program has of its own, under a name. Raises DataError."""
    return given.called(name) if isinstance(given, Examples) else read_given(name, given, memory, "this is")


def _file(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(source, f"there is no such file (looked at {path.absolute()})")
    if not path.is_file():
        raise DataError(source, "it is not a file; name one file that ends in " + ", ".join(FILES))
    if path.stat().st_size == 0:
        raise DataError(source, "the file is empty")
    return path


def _unknown(source: str) -> str:
    ends = ", ".join(FILES)
    if Path(source).exists():
        return f"it is there, but only files that end in {ends} can be read; module:function may read any other"
    hint = suggestion(source, BUNDLED)
    return f"expected a built-in set ({', '.join(BUNDLED)}), a file ({ends}) or module:function{hint}"
