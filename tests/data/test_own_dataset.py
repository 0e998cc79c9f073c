from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset, IterableDataset

from fedzmq.data.data import Data
from fedzmq.data.lazy import Lazy
from fedzmq.data.load import examples_of
from fedzmq.data.own_dataset import read_dataset
from fedzmq.data.streamed import Streamed
from fedzmq.errors import DataError
from tests.data.files import same, whole


class Squares(Dataset[Any]):
    """Gives a pair for each number, and says how often it was asked."""

    def __init__(self, rows: int = 150) -> None:
        self.rows = rows
        self.asked = 0

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, number: int) -> Any:
        self.asked += 1
        return torch.tensor([number, number**2], dtype=torch.float64), number % 3


class Stream(IterableDataset[Any]):
    def __init__(self, rows: int = 150) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Any]:
        yield from (Squares()[number] for number in range(self.rows))


class Once(IterableDataset[Any]):
    """A Dataset that can be read a single time."""

    def __init__(self) -> None:
        self.left = iter(Stream())

    def __iter__(self) -> Iterator[Any]:
        return self.left


def test_a_large_dataset_is_asked_for_each_batch() -> None:
    dataset = Squares()
    data = read_dataset("own", dataset, memory=0)
    assert isinstance(data, Lazy)
    dataset.asked = 0
    next(data.in_order(4))

    assert 0 < dataset.asked <= 150


def test_a_large_dataset_gives_the_bits_that_it_gives_in_memory() -> None:
    lazy, held = read_dataset("own", Squares(), memory=0), read_dataset("own", Squares(), memory=1 << 20)

    assert isinstance(held, Data)
    assert same(lazy, held)
    assert (lazy.columns, lazy.classes) == (held.columns, held.classes)


def test_a_large_iterable_dataset_streams() -> None:
    stream, held = read_dataset("own", Stream(), memory=0), read_dataset("own", Stream(), memory=1 << 20)

    assert isinstance(stream, Streamed)
    assert all(torch.equal(a, b) for a, b in zip(whole(stream), whole(held), strict=True))


class Draws(Squares):
    """With a transform, as for images: less than rounding could carry to the next whole number."""

    def __getitem__(self, number: int) -> Any:
        features, target = super().__getitem__(number)
        return features + torch.rand(2) / 2, target


class DrawnStream(Stream):
    def __iter__(self) -> Iterator[Any]:
        yield from (Draws()[number] for number in range(self.rows))


@pytest.mark.parametrize("dataset", [Draws(), DrawnStream()])
def test_a_dataset_that_draws_is_asked_anew_in_every_epoch_however_small_it_is(dataset: Dataset[Any]) -> None:
    data = read_dataset("own", dataset, memory=1 << 20)
    one, another = whole(data), whole(data)

    assert not torch.equal(one[0], another[0])
    assert torch.equal(one[0].floor(), another[0].floor())


def test_a_small_dataset_that_can_be_read_once_is_held() -> None:
    assert len(read_dataset("own", Once(), memory=1 << 20)) == 150


@pytest.mark.parametrize(("example", "what"), [({"image": 1, "label": 2}, "a dict"), ((1, 2, 3), "a tuple of 3")])
def test_an_example_that_is_no_pair_says_what_one_is(example: Any, what: str) -> None:
    class Other(Squares):
        def __getitem__(self, number: int) -> Any:
            return example

    with pytest.raises(DataError, match=f"example 0 of the Dataset is {what}, and a pair was expected: its features"):
        read_dataset("own", Other(), memory=1 << 20)


def test_a_dataset_that_can_be_read_once_is_an_error_that_says_so() -> None:
    with pytest.raises(DataError, match="must begin anew"):
        read_dataset("own", Once(), memory=0)


def test_features_that_are_a_tuple_are_several_inputs() -> None:
    class Pairs(Squares):
        def __getitem__(self, number: int) -> Any:
            return (torch.zeros(2), torch.tensor([number])), 0.5

    found = [(each.name, each.dtype) for each in read_dataset("own", Pairs(), memory=0).columns]

    assert found == [("features", torch.float32), ("features2", torch.int64), ("targets", torch.float32)]


def test_a_program_may_give_a_dataset() -> None:
    assert len(examples_of("mine", Squares(7))) == 7


def test_what_fails_after_the_set_was_opened_tells_clients_no_value_of_it() -> None:
    class Fails(Squares):
        is_broken = False

        def __getitem__(self, number: int) -> Any:
            if self.is_broken:
                raise KeyError("patient 123")
            return super().__getitem__(number)

    dataset = Fails()
    data = read_dataset("own", dataset, memory=0)
    dataset.is_broken = True
    with pytest.raises(DataError, match=r"reading the Dataset failed with KeyError$") as caught:
        whole(data)

    assert caught.value.__suppress_context__
