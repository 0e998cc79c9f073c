from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fedzmq.errors import LimitExceeded
from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan
from fedzmq.plans.plan import BackwardBody, Output, Plan
from fedzmq.plans.within import MOST_DEEP, MOST_RECORDS
from tests.plans.listing import op, plan

LONG = MOST_RECORDS // 6  # fewer than seven such backwards may run in a pass


def chain(*works: tuple[int, int]) -> Plan:
    """Each own backward negates its gradient so often, and takes so many gradients through the one before."""
    records, backwards = [op("torch.mul", 3, 0b11, 1, 1)], []
    made = result = 3
    for negations, gradients in works:
        place, before, result = len(records), result, made + 1
        records.append(op("fedzmq.linked", [result, made + 2], 0, [{"p": before}], [{"p": 1}]))
        made += 2
        for _ in range(negations):
            records.append(op("torch.neg", made + 1, 0b1, made))
            made += 1
        found = made
        for _ in range(gradients):
            ends = [{"p": before}], [{"p": 1}], [{"p": found}]
            records.append(op("torch.autograd.grad", [made + 1], 0, *ends, retain_graph=True))
            made += 1
        backwards.append(BackwardBody(place, len(records) - place - 1, (made,)))
    records.append(op("torch.sum", made + 1, 0b1, result))
    return replace(plan(*records, outputs=(Output("loss", made + 1),)), backwards=tuple(backwards))


def loss_of(written: Plan) -> Tensor:
    check(written)
    (loss,) = compile_plan(written)(1, torch.ones(2, requires_grad=True), torch.ones(2))
    return loss


def test_backwards_that_multiply_the_work_are_refused() -> None:
    loss = loss_of(chain((LONG, 0), (0, 7)))

    with pytest.raises(LimitExceeded, match="the records that backwards of plans run in one pass"):
        loss.backward()


def test_every_pass_may_do_as_much_as_the_one_before() -> None:
    loss = loss_of(chain((LONG, 0)))

    for _ in range(7):
        loss.backward(retain_graph=True)


def test_backwards_within_backwards_are_refused_before_the_engine_takes_another_thread_for_them() -> None:
    loss_of(chain((0, 0), *[(0, 1)] * (MOST_DEEP - 1))).backward()
    too_deep = loss_of(chain((0, 0), *[(0, 1)] * MOST_DEEP))

    with pytest.raises(LimitExceeded, match="the depth of backwards within backwards is 33"):
        too_deep.backward()


def test_backwards_may_run_again_where_one_was_refused() -> None:
    with pytest.raises(LimitExceeded):
        loss_of(chain((0, 0), *[(0, 1)] * MOST_DEEP)).backward()

    loss_of(chain((0, 0), *[(0, 1)] * (MOST_DEEP - 1))).backward()
