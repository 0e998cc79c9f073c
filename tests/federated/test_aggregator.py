from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedzmq.errors import UsageError
from fedzmq.federated.aggregator import Aggregator
from fedzmq.federated.update import Update
from tests.recording.recorded import MODULES

WORKERS = ("alice", "bob", "carol")


def mean(*updates: tuple[int, list[Tensor]]) -> list[Tensor]:
    names = [f"worker{number}" for number in range(len(updates))]
    aggregator = Aggregator(names)
    for name, (examples, state) in zip(names, updates, strict=True):
        aggregator.add(name, Update(state, examples))
    return aggregator.mean()


def states(count: int) -> list[list[Tensor]]:
    """Of a model with running statistics and a counter of batches."""
    generator = torch.Generator().manual_seed(count)
    tensors = [*MODULES["cnn"]().module.parameters(), *MODULES["cnn"]().module.buffers()]
    return [
        [
            torch.randn(each.shape, generator=generator)
            if each.is_floating_point()
            else torch.randint(0, 99, each.shape, generator=generator)
            for each in tensors
        ]
        for _ in range(count)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=5))
def test_the_mean_is_the_weighted_sum_computed_in_one_process(examples: list[int]) -> None:
    updates = list(zip(examples, states(len(examples)), strict=True))

    for place, actual in enumerate(mean(*updates)):
        expected = sum(state[place].double() * n for n, state in updates) / sum(examples)  # type: ignore[arg-type]
        assert isinstance(expected, Tensor)
        if not actual.is_floating_point():
            expected = expected.round()
        torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=1e-6, atol=1e-7)


def test_the_mean_of_one_update_is_that_update_to_the_bit() -> None:
    (state,) = states(1)

    assert all(map(torch.equal, mean((123, state)), state))


def test_an_integer_stays_one_and_is_rounded() -> None:
    (counter,) = mean((1, [torch.tensor([10, -10])]), (2, [torch.tensor([12, -12])]))

    assert counter.dtype is torch.int64
    assert counter.tolist() == [11, -11]


@pytest.mark.parametrize(("examples", "expected"), [((1, 2), True), ((2, 1), False), ((1, 1), False)])
def test_a_boolean_goes_with_the_majority_of_the_examples(examples: tuple[int, int], expected: bool) -> None:
    (flag,) = mean((examples[0], [torch.tensor(False)]), (examples[1], [torch.tensor(True)]))

    assert flag.dtype is torch.bool
    assert bool(flag) is expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_the_mean_has_the_dtype_of_the_updates(dtype: torch.dtype) -> None:
    (actual,) = mean((1, [torch.tensor([1.0], dtype=dtype)]), (3, [torch.tensor([5.0], dtype=dtype)]))

    assert actual.dtype is dtype
    assert actual.item() == 4.0


def test_a_sum_beyond_a_half_float_does_not_overflow() -> None:
    (actual,) = mean(*[(60_000, [torch.tensor([60_000.0], dtype=torch.float16)])] * 3)

    assert math.isfinite(actual.item())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_arrival_changes_no_bit(order: tuple[int, ...]) -> None:
    updates = [Update(state, 3**number) for number, state in enumerate(states(3))]
    usual, other = Aggregator(WORKERS), Aggregator(reversed(WORKERS))
    for number in range(3):
        usual.add(WORKERS[number], updates[number])
        other.add(WORKERS[order[number]], updates[order[number]])

    assert all(map(torch.equal, usual.mean(), other.mean()))


def test_a_skipped_worker_weighs_nothing() -> None:
    aggregator = Aggregator(WORKERS)
    aggregator.add("carol", Update([torch.tensor(2.0)], 5))
    aggregator.skip("alice")
    aggregator.add("bob", Update([torch.tensor(4.0)], 5))

    assert aggregator.mean()[0] == 3.0
    assert aggregator.examples == 10


def test_a_mean_with_somebody_missing_names_them() -> None:
    aggregator = Aggregator(WORKERS)
    aggregator.add("alice", Update([torch.ones(1)], 1))

    with pytest.raises(ValueError, match="the workers bob, carol are neither added nor skipped"):
        aggregator.mean()


def test_a_mean_of_nothing_is_refused() -> None:
    aggregator = Aggregator(["bob"])
    aggregator.skip("bob")

    with pytest.raises(ValueError, match="no update was added"):
        aggregator.mean()


def test_the_updates_are_left_as_they_were() -> None:
    one, other = torch.ones(2), torch.zeros(2)

    mean((1, [one]), (1, [other]))

    assert torch.equal(one, torch.ones(2))


def test_a_strategy_may_weigh_otherwise() -> None:
    aggregator = Aggregator(WORKERS, lambda update: 1 / update.examples)
    for name, examples in zip(WORKERS, (1, 2, 4), strict=True):
        aggregator.add(name, Update([torch.tensor(float(examples))], examples))

    assert float(aggregator.mean()[0]) == pytest.approx(3 / 1.75)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -1.0])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(UsageError, match=r"the strategy weighs an update by .*, and a number from 0 is needed"):
        Aggregator(["bob"], lambda update: weight).add("bob", Update([torch.ones(1)], 1))


def test_updates_are_weighed_in_the_order_of_the_names() -> None:
    weighed: list[int] = []
    aggregator = Aggregator(WORKERS, lambda update: weighed.append(update.examples) or 1.0)
    for name, examples in (("carol", 3), ("alice", 1), ("bob", 2)):
        aggregator.add(name, Update([torch.ones(1)], examples))

    assert weighed == [1, 2, 3]
