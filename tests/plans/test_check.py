from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedzmq.errors import FedzmqError, LimitExceeded, PlanError, ProtocolError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import check, check_training
from fedzmq.plans.plan import BackwardBody, Lowered, Output, Plan, Slot
from tests.plans.listing import W, op, plan

PRODUCT = op("torch.mul", 3, 0b11, 1, 2)
ENDS = [{"p": 1}], [{"p": 1}]
OWN = replace(
    plan(
        PRODUCT,
        op("fedzmq.linked", [4, 5], 0, [{"p": 3}], [{"p": 1}]),
        op("torch.neg", 6, 0b1, 5),
        op("torch.sum", 7, 0b1, 4),
    ),
    backwards=(BackwardBody(1, 1, (6,)),),
)
GOOD = plan(PRODUCT, op("torch.sum", 4, 0b1, 3))


def nested(depth: int) -> Any:
    value: Any = {"p": 1}
    for _ in range(depth):
        value = [value]
    return value


def nested_backwards(depth: int) -> Plan:
    records = [op("fedzmq.linked", [3 + 2 * n, 4 + 2 * n], 0, *ENDS) for n in range(depth)]
    backwards = tuple(BackwardBody(n, depth - 1 - n, (4 + 2 * n,)) for n in range(depth))
    return replace(plan(*records, outputs=(Output("loss", 3),)), backwards=backwards)


@pytest.mark.parametrize("good", [GOOD, OWN, nested_backwards(8)])
def test_a_good_plan_passes(good: Plan) -> None:
    check(good)


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
        (plan(op("fedzmq.linked", [3, 4], 0, *ENDS)), "has a backward of its own, which the plan lacks"),
        (replace(GOOD, backwards=(BackwardBody(0, 0, (1,)),)), "has a backward of record 1, which has none of its own"),
        (replace(GOOD, backwards=(BackwardBody(9, 0, (1,)),)), "has a backward of record 10, which has none"),
        (replace(OWN, backwards=OWN.backwards * 2), "two backwards of one record"),
        (
            replace(OWN, backwards=(BackwardBody(1, 1, (5, 5)),)),
            "fills a register for each output and one for its gradient",
        ),
        (replace(OWN, backwards=(BackwardBody(1, 3, (5,)),)), "a backward of 3 records, which do not follow"),
        (replace(OWN, backwards=(BackwardBody(1, 1, (9,)),)), "a backward gives register 9, which nothing filled"),
        (replace(OWN, backwards=(BackwardBody(1, 1, (7,)),)), "a backward gives register 7, which nothing filled"),
        (replace(OWN, outputs=(Output("loss", 5),)), "is register 5, which nothing fills"),
        (replace(OWN, outputs=(Output("loss", 6),)), "is register 6, which nothing fills"),
        (replace(OWN, records=(*OWN.records, op("torch.neg", 8, 0b1, 6))), "record 5 .* reads register 6"),
        (replace(OWN, records=(*OWN.records, op("torch.neg", 8, 0b1, 5))), "record 5 .* reads register 5"),
        (replace(OWN, records=(PRODUCT, op("fedzmq.linked", [4, 5], 1, 3, [])), outputs=()), "takes two lists"),
        (nested_backwards(9), "record 9 .* nests its backward too deeply"),
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
