from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.data.examples import Batch, Examples
from fedzmq.data.load import load
from fedzmq.data.writing import WRITERS, write
from fedzmq.errors import DataError
from tests.data.files import npz, parquet, same, whole

NUMBER = torch.arange(11)

SETS = {
    "classes": Data("classes", torch.randn(11, 3), NUMBER % 3, 3),
    "measurements": Data("measurements", torch.randn(11, 3), torch.randn(11, 1), None),
    "whole numbers": Data("whole numbers", NUMBER.reshape(11, 1).repeat(1, 4), NUMBER % 2, 2),
    "two inputs": Data("two inputs", torch.randn(11, 2), NUMBER % 2, 2, others=(NUMBER[:, None],)),
}


@pytest.mark.parametrize("memory", [0, 1 << 20])
@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("data", SETS.values(), ids=SETS)
def test_what_was_written_is_read_back_to_the_same_bits(tmp_path: Path, data: Data, ending: str, memory: int) -> None:
    write(data, tmp_path / f"set{ending}")
    read = load(str(tmp_path / f"set{ending}"), memory)

    assert all(torch.equal(a, b) for a, b in zip(whole(read), data.tensors, strict=True))
    assert (read.classes, len(read)) == (data.classes, 11)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_a_share_knows_the_classes_that_it_lacks(tmp_path: Path, ending: str, memory: int) -> None:
    write(SETS["classes"].rows(torch.tensor([0, 3, 6])), tmp_path / f"set{ending}")

    assert load(str(tmp_path / f"set{ending}"), memory).classes == 3


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_images_keep_their_shape(tmp_path: Path, ending: str) -> None:
    data = load(npz(tmp_path), memory=0)
    write(data.rows(torch.tensor([5, 2])), tmp_path / f"images{ending}")

    assert same(load(str(tmp_path / f"images{ending}")), data.rows(torch.tensor([5, 2])))


@pytest.mark.parametrize("ending", WRITERS)
def test_a_stream_can_be_written(tmp_path: Path, ending: str) -> None:
    stream = load(parquet(tmp_path), memory=0)
    write(stream, tmp_path / f"copy{ending}")

    assert all(
        torch.equal(a, b) for a, b in zip(whole(load(str(tmp_path / f"copy{ending}"))), whole(stream), strict=True)
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            Data("images", torch.zeros(2, 3, 4), torch.tensor([0, 1]), 2),
            "its features are 3x4, and parquet",
        ),
        (Data("targets", torch.zeros(2, 3), torch.zeros(2, 2), None), "several targets"),
    ],
)
def test_what_a_table_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path, data: Data, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        write(data, tmp_path / "set.parquet")

    assert list(tmp_path.iterdir()) == []


def test_a_set_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    class Broken(Data):
        __slots__ = ()

        def in_order(self, batch_size: int) -> Iterator[Batch]:
            yield self.tensors
            raise DataError(self.name, "it is gone")

    broken: Examples = Broken("broken", torch.zeros(2, 3), torch.tensor([0, 1]), 2)
    with pytest.raises(DataError, match="it is gone"):
        write(broken, tmp_path / "set.npz")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("told", "is_taken"), [(5, True), (3, False), (1 << 30, False), (-1, False)])
def test_a_file_that_says_an_incredible_number_of_classes_is_refused(tmp_path: Path, told: int, is_taken: bool) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 1)), y=np.arange(4), classes=np.array(told))
    if is_taken:
        assert load(str(tmp_path / "set.npz")).classes == told
    else:
        with pytest.raises(DataError, match=f"it says that it has {told} classes, and there is a class 3"):
            load(str(tmp_path / "set.npz"))


def test_another_array_called_classes_says_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 1)), y=np.arange(4), classes=np.array(["a", "b"]))

    assert load(str(tmp_path / "set.npz")).classes == 4
