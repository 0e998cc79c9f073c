from __future__ import annotations

import torch

from fedzmq.data.batches import batches
from fedzmq.data.data import Data, first_rows
from fedzmq.data.examples import GATHERED_BYTES


def two_inputs(rows: int) -> Data:
    """A set of two inputs and a target, each of which says which row it is."""
    number = torch.arange(rows)
    return Data("pairs", number.float()[:, None], number % 3, 3, others=(number[:, None],), names=("a", "b", "y"))


def test_every_column_of_a_batch_is_of_the_same_examples() -> None:
    for a, b, y in two_inputs(11).shuffled(4, epoch=0, seed=1):
        assert a.flatten().tolist() == b.flatten().tolist()
        assert (b.flatten() % 3).tolist() == y.tolist()


def test_an_epoch_has_the_order_that_the_seed_says() -> None:
    data = two_inputs(11)
    shuffled = [a.flatten().long().tolist() for a, _, _ in data.shuffled(4, epoch=2, seed=1)]

    assert shuffled == [index.tolist() for index in batches(11, 4, 2, 1)]


def test_an_epoch_has_as_many_batches_as_it_says() -> None:
    data = two_inputs(13)

    assert data.steps(4) == len(list(data.shuffled(4, 0, 0))) == 3


def test_whoever_takes_a_batch_may_write_to_it() -> None:
    data = two_inputs(5)
    for batch in (*data.in_order(2), *data.shuffled(2, 0, 0)):
        for column in batch:
            column.zero_()

    assert data.features.flatten().tolist() == [0, 1, 2, 3, 4]
    assert data.targets.tolist() == [0, 1, 2, 0, 1]


def test_batches_are_the_same_where_not_all_are_gathered_at_once() -> None:
    wide = torch.zeros(40, GATHERED_BYTES // 4 // 10)
    wide[:, 0] = torch.arange(40)
    data = Data("wide", wide, torch.arange(40) % 2, 2)
    firsts = [features[:, 0].tolist() for features, _ in data.shuffled(3, 0, 0)]

    assert firsts == [index.float().tolist() for index in batches(40, 3, 0, 0)]


def test_columns_are_described_by_one_example() -> None:
    found = [(each.name, each.dtype, each.shape) for each in two_inputs(5).columns]

    assert found == [("a", torch.float32, (1,)), ("b", torch.int64, (1,)), ("y", torch.int64, ())]


def test_the_first_examples_are_a_set_of_their_own() -> None:
    few = first_rows(two_inputs(5))

    assert (len(few), few.classes, few.columns) == (2, 3, two_inputs(5).columns)


def test_a_selection_has_every_column() -> None:
    chosen = two_inputs(9).rows(torch.tensor([7, 2]))

    assert [each.flatten().tolist() for each in chosen.tensors] == [[7.0, 2.0], [7, 2], [1, 2]]
