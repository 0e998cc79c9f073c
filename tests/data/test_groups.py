from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedzmq.data.data import Data
from fedzmq.data.groups import read_groups
from fedzmq.data.load import load
from fedzmq.errors import DataError

Write = Callable[[Path], str]

SITES = ["north", "south", "north", "east"]


def csv(folder: Path) -> str:
    rows = [f'{number},"{site}",{number % 2}' for number, site in enumerate(SITES)]
    (folder / "set.csv").write_text("\n".join(["a,site,y", *rows]))
    return str(folder / "set.csv")


def parquet(folder: Path) -> str:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"a": [0.0, 1.0, 2.0, 3.0], "site": SITES, "y": [0, 1, 0, 1]})
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "set.parquet")
    return str(folder / "set.parquet")


def npz(folder: Path) -> str:
    np.savez(folder / "set.npz", x=np.arange(4.0)[:, None], y=np.arange(4) % 2, site=np.array(SITES))
    return str(folder / "set.npz")


@pytest.mark.parametrize("write", [csv, parquet, npz])
def test_a_column_of_text_says_who_belongs_together(tmp_path: Path, write: Write) -> None:
    assert read_groups(write(tmp_path), "site").tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize("write", [csv, parquet, npz])
def test_the_column_is_no_feature(tmp_path: Path, write: Write) -> None:
    data = load(write(tmp_path), without="site")

    assert isinstance(data, Data)
    assert (data.features.tolist(), data.targets.tolist()) == ([[0], [1], [2], [3]], [0, 1, 0, 1])


@pytest.mark.parametrize("write", [csv, parquet, npz])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, write: Write) -> None:
    with pytest.raises(DataError, match=r"it has no column 'town' \(it has: .*site"):
        read_groups(write(tmp_path), "town")


@pytest.mark.parametrize("write", [csv, parquet])
def test_a_misspelt_column_is_said_before_what_else_is_wrong(tmp_path: Path, write: Write) -> None:
    with pytest.raises(DataError, match=r"it has no column 'sitee' \(it has: a, site, y\); did you mean 'site'\?"):
        load(write(tmp_path), without="sitee")


def test_a_column_of_measurements_tells_no_rows_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no whole numbers and no text"):
        read_groups(parquet(tmp_path), "a")


def test_a_column_of_lists_tells_no_rows_apart(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow").table({"site": [[1], [2]], "y": [0, 1]})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "set.parquet")

    with pytest.raises(DataError, match="no whole numbers and no text"):
        read_groups(str(tmp_path / "set.parquet"), "site")


def test_a_function_has_no_columns() -> None:
    with pytest.raises(DataError, match=r"only \.csv, \.parquet and \.npz"):
        read_groups("digits", "site")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros(2), y=np.zeros(2), site=np.array([{}, {}]), allow_pickle=True)

    with pytest.raises(DataError, match="not an array of plain numbers or text"):
        read_groups(str(tmp_path / "set.npz"), "site")


def test_a_long_text_is_not_held_for_each_row_that_has_it(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    site = arrow.DictionaryArray.from_arrays(np.arange(1 << 16) % 2, ["b" * (1 << 20), "a"])
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"site": site}), tmp_path / "set.parquet")

    assert read_groups(str(tmp_path / "set.parquet"), "site")[:3].tolist() == [1, 0, 1]


def test_a_column_whose_head_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive, archive.open("site.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (1 << 60,)})

    with pytest.raises(DataError, match="not an array of plain numbers or text"):
        read_groups(str(tmp_path / "set.npz"), "site")
