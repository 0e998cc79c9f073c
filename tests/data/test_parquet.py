from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.data.streamed import Streamed
from fedzmq.errors import DataError
from tests.data.files import parquet, same, whole

arrow = pytest.importorskip("pyarrow")
write_table = pytest.importorskip("pyarrow.parquet").write_table


def written(folder: Path, **columns: object) -> str:
    write_table(arrow.table(columns), folder / "set.parquet")
    return str(folder / "set.parquet")


def test_a_large_file_streams(tmp_path: Path) -> None:
    stream, held = load(parquet(tmp_path), memory=0), load(parquet(tmp_path))

    assert isinstance(stream, Streamed)
    assert isinstance(held, Data)
    assert all(torch.equal(a, b) for a, b in zip(whole(stream), whole(held), strict=True))
    assert (stream.columns, stream.classes, len(stream)) == (held.columns, held.classes, len(held))


def test_every_epoch_reads_the_row_groups_in_an_order_of_its_own(tmp_path: Path) -> None:
    stream = load(parquet(tmp_path, rows=60, group=5), memory=0)
    assert isinstance(stream, Streamed)
    groups = [[first for first, _ in stream.source.chunks(torch.Generator().manual_seed(seed))] for seed in (1, 2)]

    assert groups[0] != groups[1]
    assert sorted(groups[0]) == sorted(groups[1]) == list(range(0, 60, 5))


def test_the_same_file_gives_the_same_epochs(tmp_path: Path) -> None:
    source = parquet(tmp_path)

    assert same(load(source, memory=0), load(source, memory=0))


def test_a_part_of_a_stream_has_its_rows(tmp_path: Path) -> None:
    part = load(parquet(tmp_path), memory=0).rows(torch.tensor([36, 0, 11]))

    assert whole(part)[0][:, 0].tolist() == [0, 11, 36]


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_a_column_of_lists_is_an_input_of_its_own(tmp_path: Path, memory: int) -> None:
    source = written(tmp_path, words=[[1, 2, 3], [4, 5, 6]], age=[1.0, 2.0], weight=[3, 4], label=[0, 1])
    data = load(source, memory)

    assert [(each.name, each.dtype, each.shape) for each in data.columns] == [
        ("words", torch.int64, (3,)),
        ("features", torch.float32, (2,)),
        ("targets", torch.int64, ()),
    ]
    assert [each.tolist() for each in whole(data)] == [[[1, 2, 3], [4, 5, 6]], [[1, 3], [2, 4]], [0, 1]]


def test_lists_of_one_length_may_say_so(tmp_path: Path) -> None:
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(np.arange(6, dtype=np.float32)), 3)

    assert whole(load(written(tmp_path, x=lists, y=[0, 1])))[0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_target_of_lists_is_no_input(tmp_path: Path) -> None:
    data = load(written(tmp_path, x=[1.0, 2.0], y=[[0.5, 1.5], [2.5, 3.5]]))

    assert [each.tolist() for each in whole(data)] == [[[1], [2]], [[0.5, 1.5], [2.5, 3.5]]]


@pytest.mark.parametrize("memory", [0, 1 << 20])
@pytest.mark.parametrize("name", ["__index_level_0__", "day"])
def test_the_index_of_a_pandas_table_is_none_of_the_data(tmp_path: Path, name: str, memory: int) -> None:
    table = arrow.table({"a": [1.0, 2.0], "site": ["n", "s"], "sick": [0, 1], name: [7, 5]})
    told = json.dumps({"index_columns": [{"kind": "range"}, name]})
    write_table(table.replace_schema_metadata({"pandas": told}), tmp_path / "set.parquet")

    data = load(str(tmp_path / "set.parquet"), memory, without="site")

    assert [each.tolist() for each in whole(data)] == [[[1], [2]], [0, 1]]


@pytest.mark.parametrize("told", ["", "{", "[]", "{}", '{"index_columns": 3}', "[" * 100_000])
def test_what_pandas_did_not_write_tells_of_no_index(tmp_path: Path, told: str) -> None:
    write_table(arrow.table({"a": [1.0], "y": [1]}).replace_schema_metadata({"pandas": told}), tmp_path / "set.parquet")

    assert [each.tolist() for each in whole(load(str(tmp_path / "set.parquet")))] == [[[1]], [1]]


@pytest.mark.parametrize("memory", [0, 1 << 20])
@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"x": [[1, 2], [3]], "y": [0, 1]}, "of example 2 has another length"),
        ({"x": [[1, 2], [3, None]], "y": [0, 1]}, "example 2 has nothing in column 'x'; fill it, or drop such rows"),
        ({"x": [[1, 2], None], "y": [0, 1]}, "example 2 has nothing in column 'x'"),
        ({"x": [["a"], ["b"]], "y": [0, 1]}, "the column 'x' holds list"),
        ({"x": [1.0, float("nan")], "y": [0, 1]}, "the features of example 2 are not all finite"),
        ({"x": [1.0, 2.0], "y": [0, None]}, "example 2 has nothing in column 'y'"),
        ({"site": arrow.array(["n"]).cast("large_string"), "y": [0]}, "the column 'site' holds text, and features are"),
        ({"site": arrow.array(["n"]).dictionary_encode(), "y": [0]}, "or split by it: --how column --column site"),
        ({"x": [1.0], "sick": ["yes"]}, "the target, column 'sick', holds text, and numbers were expected (classes: "),
        ({"y": [0, 1]}, "it has 1 columns"),
    ],
)
def test_a_bad_column_is_refused(tmp_path: Path, columns: dict[str, object], reason: str, memory: int) -> None:
    with pytest.raises(DataError) as caught:
        load(written(tmp_path, **columns), memory)

    assert reason in str(caught.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples"):
        load(written(tmp_path, x=arrow.array([], arrow.float32()), y=arrow.array([], arrow.int64())), memory=0)
