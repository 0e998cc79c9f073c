from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedzmq.errors import FedzmqError, LimitExceeded, PlanError, ProtocolError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import check, check_training
from fedzmq.plans.plan import Lowered, Output, Plan, Slot
from tests.plans.listing import W, op, plan

PRODUCT = op("torch.mul", 3, 0b11, 1, 2)
GOOD = plan(PRODUCT, op("torch.sum", 4, 0b1, 3))


def nested(depth: int) -> Any:
    value: Any = {"p": 1}
    for _ in range(depth):
        value = [value]
    return value


def test_a_good_plan_passes() -> None:
    check(GOOD)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(GOOD, catalog="0" * 64), "list of operations differs"),
        (plan([len(CATALOG), 3, 0b1, [1]]), f"record 1 asks for operation {len(CATALOG)}, and there are"),
        (plan(op("torch.mul", 3, 0b11, 1, 4)), r"record 1 \(torch.mul\) reads register 4, which nothing filled"),
        (plan(op("torch.mul", 3, 0b11, 1, 3)), "reads register 3, which nothing filled before"),
        (plan(op("torch.cat", 3, 0, [{"p": 1}, {"p": 7}])), "reads register 7"),
        (plan(op("torch.add", 3, 0b1, 1, other={"p": 7})), "reads register 7"),
        (plan(op("Tensor.__getitem__", 3, 0b1, 1, {"t": [{"p": 7}]})), "reads register 7"),
        (plan(op("torch.mul", 60_000_000, 0b11, 1, 2)), "fills register 60000000, and 18 are enough"),
        (plan(PRODUCT, PRODUCT), "record 2 .* fills register 3 a second time"),
        (plan(op("torch.neg", 1, 0b1, 2)), "fills register 1 a second time"),
        (plan(op("torch.max", [3, 3], 0b1, 1, 0)), "fills register 3 a second time"),
        (plan(op("torch.add", 3, 0b1, 1, {"x": ["float32", [2], 0]})), "a plan keeps those among its constants"),
        (plan(op("torch.add", 3, 0b11, 1, "1")), "names a register that is not a number"),
        (plan(op("torch.cat", 3, 0, [{"p": True}])), "names a register that is not a number"),
        (plan(op("torch.add", 3, 0b1, 1, nested(10))), "nests its arguments too deeply"),
        (plan(PRODUCT, outputs=()), "the plan gives nothing back"),
        (replace(GOOD, lowered=(Lowered(1, 2, "bfloat16"),)), "lowers 2 records from place 1 on, which do not follow"),
        (replace(GOOD, lowered=(Lowered(-1, 1, "bfloat16"),)), "lowers 1 records from place -1 on"),
        (replace(GOOD, lowered=(Lowered(0, 2, "bfloat16"), Lowered(1, 1, "bfloat16"))), "from place 1 on"),
        (replace(GOOD, lowered=(Lowered(0, 1, "float64"),)), "lowers to 'float64', and bfloat16 or float16"),
        (plan(PRODUCT, outputs=(Output("loss", 9),)), "the output 'loss' is register 9, which nothing fills"),
    ],
)
def test_a_bad_plan_is_refused_with_the_record_that_is_wrong(bad: Plan, reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        check(bad)


@pytest.mark.parametrize(
    ("slot", "error"),
    [(Slot("w", "float33", (2,), True), ProtocolError), (replace(W, shape=(1 << 50,)), LimitExceeded)],
)
def test_a_slot_that_no_tensor_fills_is_refused(slot: Slot, error: type[FedzmqError]) -> None:
    with pytest.raises(error):
        check(plan(PRODUCT, parameters=(slot,)))


def test_an_output_that_is_not_kept_fills_nothing() -> None:
    check(plan(op("torch.max", [3, 0], 0b1, 1, 0), op("torch.sum", 4, 0b1, 3)))


def test_only_a_plan_that_gives_a_loss_first_is_trained() -> None:
    check_training(GOOD)
    with pytest.raises(PlanError, match="the first output of a plan that is trained is called 'loss'"):
        check_training(plan(PRODUCT, outputs=(Output("accuracy", 3),)))
