"""One small set, written in every form of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fedzmq.data.examples import Examples

FEATURES = np.random.default_rng(3).standard_normal((37, 2, 5)).astype(np.float32)
TARGETS = np.arange(37) % 4


def npz(folder: Path) -> str:
    np.savez(folder / "set.npz", x=FEATURES, y=TARGETS)
    return str(folder / "set.npz")


def npy_pair(folder: Path) -> str:
    np.save(folder / "some.npy", FEATURES)
    np.save(folder / "their.npy", TARGETS)
    return f"{folder / 'some.npy'},{folder / 'their.npy'}"


def npy_folder(folder: Path) -> str:
    np.save(folder / "x.npy", FEATURES.astype(np.float64))
    np.save(folder / "y.npy", TARGETS.astype(">i2"))
    return str(folder)


def tensor_file(folder: Path) -> str:
    save_file({"x": torch.from_numpy(FEATURES), "y": torch.from_numpy(TARGETS)}, folder / "set.safetensors")
    return str(folder / "set.safetensors")


def parquet(folder: Path, rows: int = 37, group: int = 5) -> str:
    """A row's features say which row it is."""
    arrow = pytest.importorskip("pyarrow")
    number = np.arange(rows)
    table = arrow.table({"a": number.astype(np.float32), "b": -number.astype(np.float64), "y": number % 4})
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "set.parquet", row_group_size=group)
    return str(folder / "set.parquet")


MAPPED = {"npz": npz, "npy pair": npy_pair, "npy folder": npy_folder, "safetensors": tensor_file}


def whole(examples: Examples, batch_size: int = 8) -> list[torch.Tensor]:
    """Every column in the set's order."""
    return [torch.cat(column) for column in zip(*examples.in_order(batch_size), strict=True)]


def same(some: Examples, others: Examples, epoch: int = 1, seed: int = 5) -> bool:
    """Whether both give the same bits in the same batches, in order and shuffled."""
    pairs = [(some.in_order(3), others.in_order(3)), (some.shuffled(3, epoch, seed), others.shuffled(3, epoch, seed))]
    return all(
        len(mine) == len(theirs) and all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        for pair in pairs
        for mine, theirs in zip(*pair, strict=True)
    )
