from __future__ import annotations

import torch

from fedzmq.data.cast import cast
from fedzmq.data.data import Data

HALF = (torch.float16, torch.float16, torch.float64)


def data() -> Data:
    """Of two inputs, of which the second is looked up."""
    features, numbers = torch.arange(10.0).reshape(5, 2), torch.arange(5)[:, None]
    return Data("own", features, torch.ones(5, 1), None, (numbers,))


def test_measurements_are_cast_and_whole_numbers_are_not() -> None:
    (batch,) = cast(data(), HALF).in_order(5)

    assert [each.dtype for each in batch] == [torch.float16, torch.int64, torch.float64]
    assert [column.dtype for column in cast(data(), HALF).columns] == [each.dtype for each in batch]


def test_the_order_stays() -> None:
    for batch, plain in zip(cast(data(), HALF).shuffled(2, 1, 7), data().shuffled(2, 1, 7), strict=True):
        assert torch.equal(batch[1], plain[1])


def test_rows_and_another_name_are_cast_too() -> None:
    some = cast(data(), HALF).rows(torch.tensor([3, 1])).called("some")

    assert (some.name, len(some), some.columns[0].dtype) == ("some", 2, torch.float16)


def test_where_nothing_changes_it_is_the_same() -> None:
    own = data()

    assert cast(own, [column.dtype for column in own.columns]) is own
