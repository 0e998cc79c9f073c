from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from fedzmq.data.data import Data
from fedzmq.data.load import load
from fedzmq.data.own_dataset import read_dataset
from fedzmq.worker.fingerprints import Fingerprints, are_others
from tests.data.files import MAPPED

DATA = Data("data", torch.arange(12.0).reshape(6, 2), torch.tensor([0, 1, 0, 1, 0, 1]), 2)
OTHER = replace(DATA, targets=torch.tensor([0, 1, 0, 1, 1, 0]))
SECRET = bytes(32)


def test_a_worker_that_comes_back_with_the_same_data_has_their_fingerprint() -> None:
    first, second = (Fingerprints("bob", SECRET).of("run", DATA) for _ in range(2))

    assert first == second
    assert not are_others(first, second)


def test_other_data_of_the_same_size_have_another() -> None:
    assert are_others(Fingerprints("bob", SECRET).of("run", DATA), Fingerprints("bob", SECRET).of("run", OTHER))


@pytest.mark.parametrize(
    ("worker", "secret", "run"), [("alice", SECRET, "run"), ("bob", b"1" * 32, "run"), ("bob", SECRET, "another")]
)
def test_what_another_worker_key_or_run_gives_tells_nothing(worker: str, secret: bytes, run: str) -> None:
    ours, theirs = Fingerprints("bob", SECRET).of("run", DATA), Fingerprints(worker, secret).of(run, DATA)

    assert len(ours) == len(theirs)
    assert not {ours[:8], ours[8:]} & {theirs[:8], theirs[8:]}
    assert not are_others(ours, theirs)


@pytest.mark.parametrize("write", MAPPED.values(), ids=MAPPED)
def test_a_set_in_a_file_is_known_again(tmp_path: Path, write: object) -> None:
    source = write(tmp_path)  # type: ignore[operator]
    first, second = (Fingerprints("bob", SECRET).of("run", load(source, memory=0)) for _ in range(2))

    assert first == second != ""


@pytest.mark.parametrize("write", MAPPED.values(), ids=MAPPED)
def test_a_set_is_not_told_from_itself_where_it_is_read_by_another_bound_of_memory(
    tmp_path: Path, write: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedzmq.data.lazy.READ_BYTES", 1)  # a sample of one example
    source = write(tmp_path)  # type: ignore[operator]
    in_memory, in_the_file = (Fingerprints("bob", SECRET).of("run", load(source, memory)) for memory in (1 << 20, 0))

    assert "" not in (in_memory, in_the_file)
    assert not are_others(in_memory, in_the_file)


def test_what_its_owners_code_may_draw_has_none() -> None:
    dataset = TensorDataset(DATA.features, DATA.targets)

    assert Fingerprints("bob", SECRET).of("run", read_dataset("own", dataset, 0)) == ""
    assert Fingerprints("bob", SECRET).of("", DATA) == ""
