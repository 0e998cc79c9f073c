"""Files that were cut off, or made to do harm: each is refused in a sentence, before anything of its size is made."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedzmq.data import csv_table, opening
from fedzmq.data import parquet as parquet_module
from fedzmq.data.load import load
from fedzmq.errors import DataError
from tests.data.files import FEATURES, TARGETS, npy_folder, parquet, tensor_file
from tests.data.files import npz as write_npz

Write = Callable[[Path], str]


def refused(source: str, memory: int = 0) -> str:
    with pytest.raises(DataError) as caught:
        load(source, memory)
    message = str(caught.value)
    assert "\n" not in message
    return message


def npy(array: np.ndarray, **changes: object) -> bytes:
    """An array as a file, whose head may say other things than are true."""
    head = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape} | changes
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue() + array.tobytes()


def archive(folder: Path, compression: int = zipfile.ZIP_STORED, **members: bytes) -> str:
    with zipfile.ZipFile(folder / "set.npz", "w", compression) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return str(folder / "set.npz")


def archive_of_nothing(folder: Path) -> str:
    return archive(folder, x=npy(np.zeros((1, 0)), shape=(1 << 40, 0)), y=npy(TARGETS))


def folder_of_nothing(folder: Path) -> str:
    for name in ("x", "y"):
        (folder / f"{name}.npy").write_bytes(npy(np.zeros((1, 0)), shape=(1 << 40, 0)))
    return str(folder)


def tensors_of_nothing(folder: Path) -> str:
    head = {name: {"dtype": "F32", "shape": [1 << 40, 0], "data_offsets": [0, 0]} for name in ("x", "y")}
    text = json.dumps(head).encode()
    (folder / "set.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return str(folder / "set.safetensors")


@pytest.mark.parametrize("memory", [0, 1 << 20])
@pytest.mark.parametrize("write", [write_npz, npy_folder, tensor_file, parquet], ids=lambda write: write.__name__)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, write: object, kept: float, memory: int) -> None:
    source = write(tmp_path)  # type: ignore[operator]
    path = Path(source) / "x.npy" if Path(source).is_dir() else Path(source)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])

    refused(source, memory)


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_objects_are_refused_and_not_unpickled(tmp_path: Path, memory: int) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "sprung"),))

    objects = np.empty(2, dtype=object)
    objects[:] = [Trap(), Trap()]
    np.savez(tmp_path / "set.npz", x=objects, y=np.zeros(2), allow_pickle=True)

    assert "holds Python objects, which are never read" in refused(str(tmp_path / "set.npz"), memory)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("dtype", ["S3", "U3", "c8", "M8[s]", [("a", "f4")]], ids=str)
def test_what_is_no_number_is_refused(tmp_path: Path, dtype: object) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros(3, dtype=dtype), y=np.zeros(3))  # type: ignore[call-overload]

    assert "numbers were expected" in refused(str(tmp_path / "set.npz"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(1 << 40, 8), (36, 2, 5), (38, 2, 5), (-1, 2, 5)])
def test_an_array_that_says_another_size_than_it_has_is_refused(
    tmp_path: Path, compression: int, shape: tuple[int, ...]
) -> None:
    refused(archive(tmp_path, compression, x=npy(FEATURES, shape=shape), y=npy(TARGETS)))


def test_a_small_file_that_would_unpack_to_a_huge_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_WHOLE", 1 << 20)
    source = archive(tmp_path, zipfile.ZIP_DEFLATED, x=npy(np.zeros((36, 1 << 13), np.uint8)), y=npy(TARGETS))

    assert "what is read whole may take 1,048,576; its arrays are compressed" in refused(source)


@pytest.mark.parametrize("write", [archive_of_nothing, folder_of_nothing, tensors_of_nothing])
@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_rows_without_anything_in_them_are_refused_however_many(tmp_path: Path, write: Write, memory: int) -> None:
    assert "it has no examples (the shape of x" in refused(write(tmp_path), memory)


def test_a_table_that_is_one_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MOST_LINE", 1 << 16)
    with (tmp_path / "set.csv").open("wb") as file:
        file.truncate(1 << 32)

    assert "a line of it has more than 65,536 characters" in refused(str(tmp_path / "set.csv"))


def test_a_table_that_is_too_large_to_be_read_whole_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "set.csv").open("wb") as file:
        file.truncate(1 << 40)

    assert "write the table as .parquet" in refused(str(tmp_path / "set.csv"))


def test_a_table_with_a_text_that_has_no_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("a" * (1 << 18) + ",y\n1,2\n")

    assert "it is not a table of numbers with commas between" in refused(str(tmp_path / "set.csv"))


@pytest.mark.parametrize(
    ("ends", "message"),
    [([1, 4097], "the lists in column 'x' are not all of one length"), ([2048, 4096], "an example of it takes 16,392")],
)
def test_lists_without_end_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[int], message: str
) -> None:
    monkeypatch.setattr(parquet_module, "MOST_EXAMPLE", 1 << 12)
    monkeypatch.setattr(parquet_module, "MOST_UNEVEN", 1 << 10)
    arrow = pytest.importorskip("pyarrow")
    values = arrow.array(np.zeros(ends[-1], np.uint8))
    lists = arrow.ListArray.from_arrays(arrow.array([0, *ends], arrow.int32()), values)
    table = arrow.table({"x": lists, "y": [0, 1]})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "set.parquet", compression="zstd")

    assert message in refused(str(tmp_path / "set.parquet"))


def test_a_member_that_claims_more_than_the_file_is_refused(tmp_path: Path) -> None:
    source = Path(archive(tmp_path, x=npy(FEATURES), y=npy(TARGETS)))
    data = bytearray(source.read_bytes())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<2L", data, at + 20, 1 << 31, 1 << 31)  # both sizes in the central directory
    source.write_bytes(data)

    refused(str(source))


def test_a_damaged_member_in_memory_is_refused(tmp_path: Path) -> None:
    source = Path(archive(tmp_path, x=npy(FEATURES), y=npy(TARGETS)))
    data = bytearray(source.read_bytes())
    data[300] ^= 0xFF
    source.write_bytes(data)

    refused(str(source), memory=1 << 20)


@pytest.mark.parametrize("header", ["{", "[]", "{'x': __import__('os')}", "(" * 5000, "{'descr': '<f4'}"])
def test_a_head_of_rubbish_is_refused(tmp_path: Path, header: str) -> None:
    text = header.encode().ljust(118) + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(100)

    assert "is not an array of plain numbers" in refused(archive(tmp_path, x=data, y=npy(TARGETS)))


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 60]}},
        {"x": {"dtype": "O", "shape": [2], "data_offsets": [0, 8]}},
        {"x": 3},
        [],
    ],
)
def test_a_tensor_file_that_lies_is_refused(tmp_path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "set.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))

    assert "is not a whole .safetensors file" in refused(str(tmp_path / "set.safetensors"))


def test_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=FEATURES, y=TARGETS[:-1])

    assert "37 and 36 rows" in refused(str(tmp_path / "set.npz"))


def test_one_array_alone_is_no_set(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", FEATURES)

    assert "name the features' file and the target's" in refused(str(tmp_path / "x.npy"))
