from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fedzmq.data import mapped
from fedzmq.data.data import Data, targets_of
from fedzmq.data.lazy import Lazy
from fedzmq.data.load import load
from fedzmq.errors import DataError
from tests.data.files import FEATURES, MAPPED, TARGETS, npz, same

Write = Callable[[Path], str]

GROWTH = """
import sys
import torch
from fedzmq.data.load import load

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(sys.argv[2])) // 1024

before = resident()
data = load(sys.argv[1], memory=1 << 20)
for features, targets in data.shuffled(64, 0, 0):
    pass
print(resident() - before)
"""


@pytest.mark.parametrize("write", MAPPED.values(), ids=MAPPED)
def test_a_set_in_a_file_gives_the_bits_that_it_gives_in_memory(tmp_path: Path, write: Write) -> None:
    source = write(tmp_path)
    lazy, held = load(source, memory=0), load(source)

    assert isinstance(lazy, Lazy)
    assert isinstance(held, Data)
    assert same(lazy, held)
    assert np.array_equal(held.features.numpy(), FEATURES)


@pytest.mark.parametrize("write", MAPPED.values(), ids=MAPPED)
def test_a_set_in_a_file_is_described_as_in_memory(tmp_path: Path, write: Write) -> None:
    lazy, held = load(write(tmp_path), memory=0), load(write(tmp_path))

    assert (lazy.columns, lazy.classes, len(lazy)) == (held.columns, held.classes, len(held))


@pytest.mark.parametrize("write", MAPPED.values(), ids=MAPPED)
def test_a_selection_of_a_selection_is_one_of_the_whole(tmp_path: Path, write: Write) -> None:
    source = write(tmp_path)
    first, second = torch.tensor([30, 2, 9, 17, 5]), torch.tensor([4, 0, 1])

    assert same(load(source, memory=0).rows(first).rows(second), load(source).rows(first).rows(second))


def test_rows_that_lie_far_apart_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "WINDOW", 100)  # two rows

    assert same(load(npz(tmp_path), memory=0), load(npz(tmp_path)))


def test_targets_are_read_alone(tmp_path: Path) -> None:
    assert targets_of(load(npz(tmp_path), memory=0)).tolist() == TARGETS.tolist()


def test_a_set_is_called_what_its_owner_says(tmp_path: Path) -> None:
    assert load(npz(tmp_path), memory=0).called("mine").name == "mine"


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_several_inputs_keep_their_whole_numbers(tmp_path: Path, memory: int) -> None:
    np.savez(tmp_path / "set.npz", x1=np.arange(6.0), x0=np.arange(6).reshape(6, 1), y=np.zeros(6))
    data = load(str(tmp_path / "set.npz"), memory)

    assert [(each.name, each.dtype, each.shape) for each in data.columns] == [
        ("x0", torch.int64, (1,)),
        ("x1", torch.float32, (1,)),
        ("y", torch.float32, (1,)),
    ]


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_half_precision_tensors_become_float32(tmp_path: Path, memory: int) -> None:
    some = torch.randn(6, 3).bfloat16()
    save_file({"x": some, "y": torch.arange(6) % 2}, tmp_path / "set.safetensors")
    (features, _), *_ = load(str(tmp_path / "set.safetensors"), memory).in_order(6)

    assert torch.equal(features, some.float())


def test_bytes_of_images_become_float32(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.arange(24, dtype=np.uint8).reshape(2, 3, 4), y=np.array([0, 1], np.uint8))

    assert same(load(str(tmp_path / "set.npz"), memory=0), load(str(tmp_path / "set.npz")))


def test_what_is_compressed_is_read_and_said_to_be(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "set.npz", x=FEATURES, y=TARGETS)
    data = load(str(tmp_path / "set.npz"), memory=0)

    assert isinstance(data, Data)
    assert np.array_equal(data.features.numpy(), FEATURES)
    assert "in memory, because its arrays are compressed" in data.manner


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_what_lies_by_columns_is_read_and_said_to_be(tmp_path: Path, kind: str) -> None:
    by_columns = np.asfortranarray(np.arange(6.0).reshape(3, 2))
    if kind == "npz":
        np.savez(tmp_path / "set.npz", x=by_columns, y=np.zeros(3))
    else:
        np.save(tmp_path / "x.npy", by_columns)
        np.save(tmp_path / "y.npy", np.zeros(3))
    data = load(str(tmp_path / "set.npz" if kind == "npz" else tmp_path), memory=0)

    assert "lie" in data.manner
    assert isinstance(data, Data)
    assert data.features.tolist() == by_columns.tolist()


def test_a_file_that_is_cut_off_while_it_is_in_use_is_an_error(tmp_path: Path) -> None:
    data = load(npz(tmp_path), memory=0)
    with (tmp_path / "set.npz").open("r+b") as file:
        file.truncate(100)

    with pytest.raises(DataError, match="cut off while it was in use"):
        next(data.in_order(4))


def test_what_is_missing_is_found_when_the_set_is_opened(tmp_path: Path) -> None:
    features = FEATURES.copy()
    features[20, 1, 1] = np.nan
    np.savez(tmp_path / "set.npz", x=features, y=TARGETS)

    with pytest.raises(DataError, match="features of example 21 are not all finite"):
        load(str(tmp_path / "set.npz"), memory=0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says of a process")
@pytest.mark.parametrize("measure", ["VmRSS", "VmHWM"])
def test_memory_does_not_grow_with_what_is_read(tmp_path: Path, measure: str) -> None:
    np.save(tmp_path / "y.npy", np.zeros(1 << 17, np.uint8))
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (1 << 17, 256))  # 128 MiB, mostly holes
    rows[::1000] = 1
    del rows
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path), measure], capture_output=True, text=True, check=True, timeout=100
    )

    assert int(ran.stdout) < 60
