"""Training on data that are not in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.data.writing import write
from tests.recording.recorded import MODULES, Recorded
from tests.worker.training.trained import data_of, run


def written(data: Data, folder: Path, ending: str) -> str:
    write(data, folder / f"data{ending}")
    return str(folder / f"data{ending}")


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_a_mapped_file_trains_to_the_bits_of_memory(tmp_path: Path, ending: str) -> None:
    recorded = Recorded(MODULES["linear"]())
    data = data_of(recorded.made)
    mapped = run(recorded, load(written(data, tmp_path, ending), memory=0))
    held = run(recorded, data)

    assert all(torch.equal(a, b) for a, b in zip(mapped.state, held.state, strict=True))
    assert (mapped.loss, mapped.steps, mapped.examples) == (held.loss, held.steps, held.examples)


def test_a_stream_trains_on_every_example_and_to_the_same_bits_again(tmp_path: Path) -> None:
    recorded = Recorded(MODULES["linear"]())
    data = data_of(recorded.made)
    source = written(data, tmp_path, ".parquet")
    first, second = (run(recorded, load(source, memory=0)) for _ in range(2))

    assert (first.examples, first.steps) == (len(data), run(recorded, data).steps)
    assert all(torch.equal(a, b) for a, b in zip(first.state, second.state, strict=True))
