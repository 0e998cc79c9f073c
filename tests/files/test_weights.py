from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fedzmq.errors import ModelError
from fedzmq.files.weights import read_weights, write_weights

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn,
    torch.float8_e5m2,
]  # fmt: skip


def written(tensors: dict[str, torch.Tensor], path: Path) -> str:
    with path.open("wb") as file:
        return write_weights(tensors, file)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_comes_back_to_the_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    octets = torch.arange(3 * 2 * dtype.itemsize, dtype=torch.uint8) % (2 if dtype is torch.bool else 251)
    tensor = octets.view(dtype).reshape(3, 2)
    written({"odd": torch.ones(3, dtype=torch.uint8), "it": tensor}, tmp_path / "file")
    loaded = load_file(tmp_path / "file")["it"]

    assert (loaded.dtype, loaded.shape) == (dtype, (3, 2))
    assert torch.equal(loaded.view(torch.uint8), tensor.view(torch.uint8))


def test_every_form_comes_back(tmp_path: Path) -> None:
    tensors = {
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 4),
        "turned": torch.arange(6.0).reshape(2, 3).t(),
        "expanded": torch.ones(1).expand(3),
        "parameter": nn.Parameter(torch.ones(2)),
    }
    written(tensors, tmp_path / "file")
    loaded = read_weights(tmp_path / "file")

    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_the_name_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    name = written({"it": torch.ones(3)}, tmp_path / "file")

    assert name == hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()


def test_a_type_that_the_format_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'phase': it is complex128"):
        written({"phase": torch.zeros(1, dtype=torch.complex128)}, tmp_path / "file")


def test_a_torn_file_is_an_error_of_the_disk(tmp_path: Path) -> None:
    written({"it": torch.ones(30)}, tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-1])

    with pytest.raises(OSError, match="Error"):
        read_weights(tmp_path / "file")
