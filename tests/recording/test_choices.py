from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fedzmq.errors import PlanError, ProtocolError
from fedzmq.operations.arguments import Scope, unpack
from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan, constants
from fedzmq.plans.plan import Plan, from_bytes
from fedzmq.recording.training_plan import training_plan
from fedzmq.wire.limits import MAX_RANK

X = torch.randn(4, 6)
Y = torch.tensor([0, 1, 2, 0])


def plan_of(loss: Callable[[Tensor, Tensor], Tensor]) -> Plan:
    return from_bytes(training_plan(nn.Identity(), loss, X, Y))


def run(plan: Plan, x: Tensor, y: Tensor) -> float:
    return compile_plan(plan)(len(x), x, y, *constants(plan))[0].item()


def mean_by_hand(x: Tensor, y: Tensor) -> Tensor:
    chosen = x[y == 1]
    return chosen.sum() / chosen.numel() + chosen.new_ones(len(chosen), 2).sum()


def never_by_nothing(x: Tensor, y: Tensor) -> Tensor:
    chosen = x[y == 1]
    return chosen.sum() / max(1, len(chosen) - 1)


def of_two_masks(x: Tensor, y: Tensor) -> Tensor:
    return x[y == 1].sum() / len(y[y != 2])


def of_masks_that_are_alike(x: Tensor, y: Tensor) -> Tensor:
    return (x[y == 1] * x[~(y != 1)].sin()).sum()


def of_a_mask_that_is_written_to(x: Tensor, y: Tensor) -> Tensor:
    mask = y == 1
    ones = x[mask].sum()
    mask |= y == 2
    return ones + 100 * len(x[mask]) * x[mask].mean()


@pytest.mark.parametrize(
    "loss",
    [mean_by_hand, never_by_nothing, of_two_masks, of_masks_that_are_alike, of_a_mask_that_is_written_to],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("targets", [[1, 1, 0, 2], [1, 0, 0, 0], [1, 1, 1, 1, 2]])
def test_a_number_that_follows_from_how_much_is_chosen_is_that_of_the_batch(
    loss: Callable[[Tensor, Tensor], Tensor], targets: list[int]
) -> None:
    y = torch.tensor(targets)
    x = torch.randn(len(y), 6)

    assert run(plan_of(loss), x, y) == pytest.approx(loss(x, y).item(), rel=1e-5)


def test_what_is_bounded_holds_where_nothing_is_chosen() -> None:
    assert run(plan_of(never_by_nothing), torch.randn(3, 6), torch.zeros(3).long()) == 0.0


def zero_for_nothing(x: Tensor, y: Tensor) -> Tensor:
    chosen = x[y == 1]
    return chosen.mean() if len(chosen) else 0 * x.sum()


def constant_for_nothing(x: Tensor, y: Tensor) -> Tensor:
    chosen = x[y == 1]
    return chosen.mean() if len(chosen) else torch.zeros(())


def branches_on_how_many(x: Tensor, y: Tensor) -> Tensor:
    chosen = x[y == 1]
    return chosen.tanh().sum() if len(chosen) > 5 else chosen.sum()


def difference_of_two(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() + (len(x[y == 1]) - len(x[y == 2]))


def share_of_two(x: Tensor, y: Tensor) -> Tensor:
    one, other = len(x[y == 1]), len(x[y == 2])
    return x.sum() * (one / (one + other) if one + other else 0.5)


def sum_of_two(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() * (len(x[y == 1]) + len(x[y == 2]))


def equal_numbers(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() * (2.0 if len(x[y == 1]) == len(x[y == 2]) else 1.0)


def more_of_the_first(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() * (2.0 if len(x[y == 1]) >= len(x[y == 2]) else 1.0)


def more_of_the_first_rows(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() * (2.0 if len(x[y == 1]) <= len(x[x > 0]) else 1.0)


def largest_of_two(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() * max(len(x[y == 1]), len(x[y == 2]))


def as_many_of_both(x: Tensor, y: Tensor) -> Tensor:
    one, other = x[y == 1], x[y == 2]
    least = min(len(one), len(other))
    return one[:least].sum() - other[:least].sum()


def fails_where_one_is_larger(x: Tensor, y: Tensor) -> Tensor:
    return x.sum() if len(x[y == 1]) >= len(x[y == 2]) else x.sum() * x.sum().item()


def true_of_two_views(x: Tensor, y: Tensor) -> Tensor:
    """As many are true of a number as of its bytes only where each is less than 256."""
    return x.sum() + len(x.new_ones(len(y.nonzero()))) - len(y.view(torch.uint8).nonzero())


def test_as_many_are_true_of_a_view_as_another_dtype_as_are_of_its_own_elements() -> None:
    x, y = torch.randn(3, 6), torch.tensor([257, 0, 1])

    assert run(plan_of(true_of_two_views), x, y) == pytest.approx(true_of_two_views(x, y).item(), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        difference_of_two,
        share_of_two,
        sum_of_two,
        equal_numbers,
        more_of_the_first,
        more_of_the_first_rows,
        largest_of_two,
        as_many_of_both,
        fails_where_one_is_larger,
    ],
    ids=lambda each: each.__name__,
)
def test_what_follows_from_the_numbers_that_two_masks_choose_is_refused_at_its_line(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    with pytest.raises(PlanError, match=r"test_choices.py:\d+"):
        plan_of(loss)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (
            zero_for_nothing,
            r"and Tensor.\w+ at .*test_choices.py:\d+ for a mask that chooses all and one that chooses none",
        ),
        (constant_for_nothing, "does not depend on its inputs .where a mask chooses nothing."),
        (
            branches_on_how_many,
            r"Tensor.tanh and Tensor.sum at .*test_choices.py:\d+ for masks that choose all and ones that choose \d",
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_done_for_some_numbers_alone_is_refused(loss: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        plan_of(loss)


@pytest.mark.parametrize(
    "content", [1, [1, 0], [0, 0, 1], [1, -1, 1], [1, MAX_RANK, 1], [1, 0, 0], ["a", 0, 1], [1, 0, [1]]]
)
def test_an_extent_that_is_none_is_refused(content: Any) -> None:
    with pytest.raises(ProtocolError):
        unpack({"n": content}, Scope(lambda id: None, extent=lambda id, dimension, rule: 0))


@pytest.mark.parametrize("content", [[99, 0, 1], [], {}, "a", [None, 0, 1]])
def test_an_extent_of_what_nothing_filled_is_refused_before_anything_runs(content: Any) -> None:
    plan = plan_of(mean_by_hand)
    records = tuple([*record[:3], [{"n": content}], *record[4:]] for record in plan.records[-1:])

    with pytest.raises(PlanError):
        check(Plan(plan.catalog, (), (), plan.columns, (), records, plan.outputs))
