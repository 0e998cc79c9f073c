from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fedzmq.federated.spool import Spool

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.bool, torch.complex64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_piece_is_that_of_every_state(dtype: torch.dtype) -> None:
    one, other = (torch.tensor(values).to(dtype) for values in ([[1, 0], [1, 1]], [[0, 0], [1, 0]]))
    with Spool() as spool:
        for each in (one, other):
            spool.add([torch.ones(3, dtype=torch.uint8), each])
        piece = spool.piece(1, 1, 3)

        assert torch.equal(piece, torch.stack([one.flatten()[1:3], other.flatten()[1:3]]))
        assert spool.shapes[1] == (2, 2)


def test_a_state_may_change_once_it_is_spooled() -> None:
    state = [torch.ones(2)]
    with Spool() as spool:
        spool.add(state)
        state[0].zero_()

        assert spool.piece(0, 0, 2).tolist() == [[1.0, 1.0]]


def test_what_is_not_contiguous_is_spooled_in_order() -> None:
    turned = torch.arange(6.0).reshape(2, 3).t()
    with Spool() as spool:
        spool.add([turned])

        assert spool.piece(0, 0, 6)[0].tolist() == turned.flatten().tolist()


def test_empty_states_are_taken() -> None:
    with Spool() as spool:
        spool.add([torch.zeros(0)])

        assert len(spool) == 1


def test_nothing_lies_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spool = Spool()
    spool.add([torch.ones(1000)])
    there = os.listdir(tmp_path)
    spool.close()
    spool.close()

    assert there == []
