from __future__ import annotations

import pytest
import torch

from fedzmq.data.data import Data
from fedzmq.errors import DataError
from fedzmq.wire.messages import HeldOut
from fedzmq.worker.training.shares import MOST_SPLITS, Shares

DATA = Data("data", torch.arange(20.0)[:, None], torch.zeros(20).long(), 2)


def values(data: Data) -> list[float]:
    return data.features.flatten().tolist()


def test_what_is_held_out_is_not_trained_on() -> None:
    shares, held_out = Shares({"data": DATA}), HeldOut(0.25, 3)
    trained, evaluated = (values(each("data", held_out)) for each in (shares.to_train, shares.to_evaluate))  # type: ignore[arg-type]

    assert len(evaluated) == 5
    assert sorted(trained + evaluated) == values(DATA)


def test_one_seed_holds_out_the_same_and_another_something_else() -> None:
    one, same, other = (
        values(Shares({"data": DATA}).to_evaluate("data", HeldOut(0.25, seed)))  # type: ignore[arg-type]
        for seed in (3, 3, 4)
    )

    assert one == same != other


def test_where_nothing_is_held_out_all_is_trained_on_and_evaluated() -> None:
    shares = Shares({"data": DATA})

    assert shares.to_train("data", HeldOut()) is shares.to_evaluate("data", HeldOut()) is DATA


def test_a_split_is_made_once_and_few_are_kept() -> None:
    shares = Shares({"data": DATA})
    first = shares.to_train("data", HeldOut(0.5, 0))
    assert shares.to_train("data", HeldOut(0.5, 0)) is first
    for seed in range(1, MOST_SPLITS + 1):
        shares.to_train("data", HeldOut(0.5, seed))

    assert shares.to_train("data", HeldOut(0.5, 0)) is not first


def test_data_that_is_not_here_is_said_to_be_missing() -> None:
    with pytest.raises(DataError, match="cannot use the data 'wine': this worker has data; start it with --data"):
        Shares({"data": DATA}).to_train("wine", HeldOut())
