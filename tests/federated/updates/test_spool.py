from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch

from fedzmq.errors import UnavailableError
from fedzmq.federated.updates.spool import Spool

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.bool, torch.complex64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_piece_is_that_of_every_update(dtype: torch.dtype) -> None:
    one, other = (torch.tensor(values).to(dtype) for values in ([1, 0, 1, 1], [0, 0, 1, 0]))
    with Spool([torch.ones(3, dtype=torch.uint8), one], 2) as spool:
        for update, values in ((1, other), (0, one)):
            spool.write(update, 1, 2, values[2:])
            spool.write(update, 1, 0, values[:2])
            spool.write(update, 0, 0, torch.ones(3, dtype=torch.uint8))

        assert torch.equal(spool.read(1, 1, 4), torch.stack([one[1:], other[1:]]))


def test_values_may_change_once_they_are_spooled() -> None:
    values = torch.ones(2)
    with Spool([values], 1) as spool:
        spool.write(0, 0, 0, values)
        values.zero_()

        assert spool.read(0, 0, 2).tolist() == [[1.0, 1.0]]


def test_nothing_is_read_of_an_empty_tensor() -> None:
    with Spool([torch.zeros(0)], 2) as spool:
        assert spool.read(0, 0, 0).shape == (2, 0)


def test_nothing_lies_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spool = Spool([torch.ones(1000)], 1)
    spool.write(0, 0, 0, torch.ones(1000))
    there = os.listdir(tmp_path)
    spool.close()
    spool.close()

    assert there == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is Linux's /dev/full")
def test_a_full_disk_is_a_sentence_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    with Spool([torch.ones(2)], 1) as spool, pytest.raises(UnavailableError, match=r"No space left .*TMPDIR=FOLDER"):
        spool.write(0, 0, 0, torch.ones(2))
