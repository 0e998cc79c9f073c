"""What is due of workers: in which pieces, whether it comes along, and what is let in."""

from __future__ import annotations

import math

import pytest
import torch

from fedzmq.errors import UpdateNotFinite, UpdateRefused
from fedzmq.federated.updates import due
from fedzmq.federated.updates.due import Due
from fedzmq.tensors.buffers import export_all

SHARED = {"weight": torch.zeros(2, 500), "nothing": torch.zeros(0), "steps": torch.zeros((), dtype=torch.int64)}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "LEAST_PIECE", 512)
    monkeypatch.setattr(due, "MOST_PIECE", 2048)
    monkeypatch.setattr(due, "IN_FLIGHT", 16_000)
    monkeypatch.setattr(due, "FREELY", 16_000)


@pytest.mark.parametrize(("workers", "expected"), [(1, 4008), (3, 4008), (4, 0)])
def test_little_comes_along_with_the_answers(workers: int, expected: int) -> None:
    assert Due(SHARED, workers).ahead == expected


def test_more_may_be_under_way_of_a_small_model_than_of_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "IN_FLIGHT", 4008)

    assert Due(SHARED, 3).ahead == 4008
    assert Due({**SHARED, "more": torch.zeros(1)}, 3).ahead == 0


@pytest.mark.parametrize(("workers", "count"), [(1, 1), (3, 1), (4, 2), (20, 5), (1000, 8)])
def test_the_pieces_make_up_all_of_it(workers: int, count: int) -> None:
    pieces = list(Due(SHARED, workers).pieces())

    assert len(pieces) == count
    assert [pieces[0].start, *(each.stop for each in pieces)] == [*(each.start for each in pieces), 4008]


def test_what_came_whole_is_known_by_its_places() -> None:
    parts, buffers = export_all([torch.arange(1000.0), torch.tensor([7])])
    whole = Due(SHARED, 1).whole(parts, buffers)

    assert list(whole) == [0, 2]
    assert torch.equal(whole[0], torch.arange(1000.0))
    assert whole[2].tolist() == [7]


@pytest.mark.parametrize(
    ("tensors", "refused", "reason"),
    [
        ([torch.full((1000,), math.nan), torch.tensor([7])], UpdateNotFinite, "'weight' holds NaN or infinity"),
        ([torch.zeros(1000)], UpdateRefused, "a piece of it has 1 parts, and 2 were due"),
        ([torch.zeros(1001), torch.tensor([7])], UpdateRefused, "'weight' is float32.1001., and float32.1000. was due"),
        ([torch.zeros(1000), torch.tensor([7.0])], UpdateRefused, "'steps' is float32.1., and int64.1. was due"),
    ],
)
def test_what_is_no_update_is_refused(tensors: list[torch.Tensor], refused: type[Exception], reason: str) -> None:
    with pytest.raises(refused, match=reason):
        Due(SHARED, 1).whole(*export_all(tensors))
