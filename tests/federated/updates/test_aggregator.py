from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.aggregator import Aggregator
from fedzmq.federated.updates.precision import narrow_into
from tests.federated.strategies.federation import fold
from tests.recording.recorded import MODULES


def mean(*updates: tuple[int, list[Tensor]], size: int = 1 << 20) -> list[Tensor]:
    """In the dtypes of the updates."""
    names = [f"worker{number}" for number in range(len(updates))]
    answers = [answer(name, examples) for name, (examples, _) in zip(names, updates, strict=True)]
    aggregator = Aggregator(answers)
    aggregator.open(updates[0][1])
    fold(aggregator, {name: state for name, (_, state) in zip(names, updates, strict=True)}, size)
    found = [torch.empty_like(each) for each in updates[0][1]]
    for place, each in enumerate(found):
        narrow_into(each, aggregator.combined(place))
    return found


def answer(name: str, examples: int) -> Answer:
    return Answer(name, examples, 0.0, 0.0)


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


@settings(max_examples=60)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=5), st.integers(1, 200))
def test_the_mean_is_the_weighted_sum_computed_in_one_process(examples: list[int], size: int) -> None:
    updates = list(zip(examples, states(len(examples)), strict=True))

    for place, actual in enumerate(mean(*updates, size=size)):
        expected = sum(state[place].double() * n for n, state in updates) / sum(examples)  # type: ignore[arg-type]
        assert isinstance(expected, Tensor)
        if not actual.is_floating_point():
            expected = expected.round()
        torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=1e-6, atol=1e-6)


def test_the_mean_of_one_update_is_that_update_to_the_bit() -> None:
    (state,) = states(1)

    assert all(map(torch.equal, mean((123, state)), state))


def test_updates_that_agree_have_just_that_for_their_mean() -> None:
    (state,) = states(1)

    assert all(map(torch.equal, mean(*[(3**number, state) for number in range(9)]), state))


def test_an_update_that_counts_nothing_changes_nothing_be_it_the_first() -> None:
    names, (one, other) = ("alice", "bob"), states(2)
    aggregator = Aggregator([answer(*each) for each in zip(names, (1, 2), strict=True)], lambda a: a.examples - 1)
    aggregator.open(one)
    fold(aggregator, {"alice": one, "bob": other})

    assert all(torch.equal(aggregator.combined(place), each) for place, each in enumerate(other))


def test_the_size_of_the_pieces_changes_no_bit() -> None:
    updates = [(3**number, state) for number, state in enumerate(states(3))]

    assert all(map(torch.equal, mean(*updates), mean(*updates, size=7)))


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


def test_no_answers_have_no_mean() -> None:
    with pytest.raises(UsageError, match="the strategy weighs all 0 updates by 0, and one has to count"):
        Aggregator([])


def test_what_is_folded_is_left_as_it_was() -> None:
    one, aggregator = torch.ones(2), Aggregator([answer("bob", 5)])
    aggregator.open([one])
    aggregator.fold("bob", 0, 0, one)
    aggregator.combined(0)

    assert torch.equal(one, torch.ones(2))


def test_a_strategy_may_weigh_otherwise() -> None:
    names = ("alice", "bob", "carol")
    aggregator = Aggregator([answer(*each) for each in zip(names, (1, 2, 4), strict=True)], lambda a: 1 / a.examples)
    aggregator.open([torch.zeros(())])
    fold(aggregator, {name: [torch.tensor(float(n))] for name, n in zip(names, (1, 2, 4), strict=True)})

    assert float(aggregator.combined(0)) == pytest.approx(3 / 1.75)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -1.0])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(UsageError, match=r"the strategy weighs an update by .*, and a number from 0 is needed"):
        Aggregator([answer("bob", 1)], lambda answer: weight)
