from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.data import streamed as module
from fedzmq.data.batches import batch_sizes, drawing
from fedzmq.data.forms import Form
from fedzmq.data.opening import streamed
from fedzmq.data.streamed import Streamed, mixed
from fedzmq.errors import DataError


class Numbers:
    """Gives the numbers up to `rows` in parts of `part`, which it can give in another order."""

    def __init__(self, rows: int, part: int = 4) -> None:
        self.rows, self.part = rows, part

    def chunks(self, drawing: torch.Generator | None) -> Iterator[tuple[int, Sequence[Any]]]:
        begins = torch.arange(0, self.rows, self.part)
        for begin in begins if drawing is None else begins[torch.randperm(len(begins), generator=drawing)]:
            number = torch.arange(int(begin), min(int(begin) + self.part, self.rows))
            yield int(begin), (number.float(), number % 3)


def numbers(rows: int, part: int = 4) -> Streamed:
    return streamed("numbers", Numbers(rows, part), Form(), "a list")


def order(data: Any, batch_size: int = 4, epoch: int = 0, seed: int = 0) -> list[int]:
    return [int(row) for batch in data.shuffled(batch_size, epoch, seed) for row in batch[0].flatten()]


@given(
    rows=st.integers(1, 80),
    part=st.integers(1, 20),
    size=st.integers(1, 30),
    pool=st.integers(2, 40),
    seed=st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_an_epoch_has_every_example_once_in_batches_of_the_usual_sizes(
    rows: int, part: int, size: int, pool: int, seed: int
) -> None:
    data = numbers(rows, part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHUFFLED_BYTES", pool * data.example_bytes)
        found = list(data.shuffled(size, 1, seed))

    assert [len(batch[-1]) for batch in found] == batch_sizes(rows, size)
    assert sorted(int(row) for batch in found for row in batch[0]) == list(range(rows))
    assert all((features.flatten() % 3).tolist() == targets.tolist() for features, targets in found)


def test_in_order_is_as_they_come() -> None:
    assert [batch[0].flatten().tolist() for batch in numbers(7).in_order(3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_order_follows_from_the_seed() -> None:
    assert order(numbers(50), seed=1) == order(numbers(50), seed=1)
    assert order(numbers(50), seed=1) != order(numbers(50), seed=2)


def test_another_epoch_has_another_order() -> None:
    assert order(numbers(50), epoch=0) != order(numbers(50), epoch=1)


def test_an_example_passes_through_a_pool_and_no_more() -> None:
    chunks = ((torch.arange(start, start + 10),) for start in range(0, 1000, 10))
    mixture = torch.cat([batch[0] for batch in mixed(chunks, 100, drawing(0, 0))])

    assert not torch.equal(mixture, torch.arange(1000))
    assert max(place - 100 <= row for place, row in enumerate(mixture.tolist()))
    assert all(row < place + 100 for place, row in enumerate(mixture.tolist()))


def test_a_selection_has_the_chosen_examples_alone() -> None:
    chosen = numbers(20).rows(torch.tensor([3, 17, 8, 9]))

    assert (len(chosen), sorted(order(chosen))) == (4, [3, 8, 9, 17])
    assert sorted(order(chosen.rows(torch.tensor([0, 3])))) == [3, 17]


def test_it_says_how_far_it_shuffles() -> None:
    assert numbers(20).manner.startswith("streamed from a list, shuffled ")


@pytest.mark.parametrize(("rows", "how"), [(19, "fewer"), (21, "more"), (16, "fewer"), (30, "more"), (0, "fewer")])
def test_a_stream_that_changed_is_an_error(rows: int, how: str) -> None:
    data = replace(numbers(20), source=Numbers(rows))

    with pytest.raises(DataError, match=f"gives {how} examples than the 20"):
        order(data)


def test_a_stream_of_another_form_is_an_error() -> None:
    data = replace(numbers(20), described=numbers(20).columns[::-1])

    with pytest.raises(DataError, match="another form than it had when the set was opened"):
        order(data)
