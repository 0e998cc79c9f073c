"""Whether a plan may run here: known operations, registers that are filled before they are read, outputs that exist.

A plan is checked whole, before its first step, because half a plan that ran is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import Plan
from fedzmq.plans.scopes import Scopes
from fedzmq.wire.apply import results_of
from fedzmq.wire.limits import MAX_ARGUMENT_DEPTH, check_shape

LOSS = "loss"
LOWER = ("bfloat16", "float16")  # what autocast computes in
SPARSE = 16  # registers that a plan may number for each that it fills


def check(plan: Plan) -> None:
    """Raises PlanError with the record that is wrong."""
    if plan.catalog != CATALOG.digest():
        raise PlanError("the plan was recorded by a fedzmq whose list of operations differs from this one's")
    for slot in (*plan.state, *plan.columns):
        check_shape(slot.dtype, slot.shape)
    filled = set(range(1, plan.given + 1))
    results = sum(len(results_of(record)) for record in plan.records)
    highest = plan.given + SPARSE * results  # a register takes room whether it is filled or not
    scopes = Scopes(plan, filled)
    for number, record in enumerate(plan.records, 1):
        scopes.close(number - 1)
        operation = record[0]
        if operation >= len(CATALOG):
            raise PlanError(f"record {number} asks for operation {operation}, and there are {len(CATALOG)}")
        where = f"record {number} ({CATALOG.name(operation)})"
        for register in _read(record, where):
            if register not in filled or scopes.hides(register):
                raise PlanError(f"{where} reads register {register}, which nothing filled before")
        for register in results_of(record):
            if register == 0:
                continue
            if register in filled:
                raise PlanError(f"{where} fills register {register} a second time")
            if register > highest:
                raise PlanError(f"{where} fills register {register}, and {highest} are enough for this plan")
            filled.add(register)
            scopes.fill(register)
        scopes.open(number - 1, record, where)
    scopes.close(len(plan.records))
    _check_lowered(plan)
    if not plan.outputs:
        raise PlanError("the plan gives nothing back")
    for output in plan.outputs:
        if output.register not in filled or scopes.hides(output.register):
            raise PlanError(f"the output {output.name!r} is register {output.register}, which nothing fills")


def _check_lowered(plan: Plan) -> None:
    after = 0
    for each in plan.lowered:
        if each.first < after or each.first + each.count > len(plan.records):
            raise PlanError(f"the plan lowers {each.count} records from place {each.first} on, which do not follow")
        if each.dtype not in LOWER:
            raise PlanError(f"the plan lowers to {each.dtype!r:.20}, and {' or '.join(LOWER)} was expected")
        after = each.first + each.count


def check_training(plan: Plan) -> None:
    """Raises PlanError where a plan, good otherwise, cannot be trained."""
    if plan.outputs[0].name != LOSS:
        raise PlanError(f"the first output of a plan that is trained is called {LOSS!r}")


def _read(record: list[Any], where: str) -> Iterator[int]:
    """Every register that a record reads."""
    mask, arguments = record[2], record[3]
    for index, value in enumerate(arguments):
        if mask >> index & 1:
            if type(value) is not int:
                raise PlanError(f"{where} names a register that is not a number")
            yield value
        else:
            yield from _nested(value, where, 0)
    if len(record) == 5:
        for value in record[4].values():
            yield from _nested(value, where, 0)


def _nested(value: Any, where: str, depth: int) -> Iterator[int]:
    if depth > MAX_ARGUMENT_DEPTH:
        raise PlanError(f"{where} nests its arguments too deeply")
    if type(value) is list:
        for each in value:
            yield from _nested(each, where, depth + 1)
    elif type(value) is dict:
        if "x" in value:
            raise PlanError(f"{where} holds a tensor of its own; a plan keeps those among its constants")
        if "p" in value:
            if type(value["p"]) is not int:
                raise PlanError(f"{where} names a register that is not a number")
            yield value["p"]
        elif "n" in value:
            content = value["n"]
            if type(content) not in (list, tuple) or not content or type(content[0]) is not int:
                raise PlanError(f"{where} names an extent that is not [register, dimension, rule]")
            yield content[0]
        elif "b" not in value:
            for each in value.values():
                yield from _nested(each, where, depth + 1)
