"""Which registers a backward of a plan's own has to itself.

It reads what was filled before it, and nothing else reads what it fills.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.listed.differentiation import linked
from fedzmq.plans.plan import BackwardBody, Plan
from fedzmq.wire.apply import results_of

LINKED = CATALOG.number(linked)
MOST_DEEP = 8  # backwards within backwards


def ends(record: Sequence[Any]) -> tuple[list[int], list[int]]:
    """The registers of the outputs and of the inputs of such a record. Raises PlanError for one in another form."""
    _, _, mask, arguments, *keywords = record
    form = [_registers(each) for each in arguments]
    if mask or any(keywords) or len(form) != 2 or None in form or not form[0]:
        raise PlanError(f"{CATALOG.name(LINKED)} takes two lists of registers, its outputs and its inputs")
    outputs, inputs = form
    return outputs or [], inputs or []


@dataclass(frozen=True, slots=True)
class _Scope:
    backward: BackwardBody
    end: int
    filled: set[int] = field(default_factory=set)


class Scopes:
    """Those that are open while the records of a plan are gone through in order. Raises PlanError for a wrong one.

    `filled` are the registers that are filled, as the caller keeps them.
    """

    def __init__(self, plan: Plan, filled: Set[int]) -> None:
        self._filled = filled
        self._backwards = {each.place: each for each in plan.backwards}
        self._length = len(plan.records)
        self._open: list[_Scope] = []
        self._hidden: set[int] = set()
        for place in self._backwards:
            if place >= self._length or plan.records[place][0] != LINKED:
                raise PlanError(f"the plan has a backward of record {place + 1}, which has none of its own")
        if len(self._backwards) != len(plan.backwards):
            raise PlanError("the plan has two backwards of one record")

    def hides(self, register: int) -> bool:
        return register in self._hidden

    def fill(self, register: int) -> None:
        if self._open:
            self._open[-1].filled.add(register)

    def open(self, place: int, record: Sequence[Any], where: str) -> None:
        """After the record at `place` has filled its registers: the gradients among them belong to its backward."""
        if record[0] != LINKED:
            return
        backward = self._backwards.get(place)
        if backward is None:
            raise PlanError(f"{where} has a backward of its own, which the plan lacks")
        if len(self._open) >= MOST_DEEP:
            raise PlanError(f"{where} nests its backward too deeply")
        outputs, inputs = ends(record)
        filled = results_of(record)
        if len(filled) != 2 * len(outputs) or 0 in filled or len(backward.results) != len(inputs):
            raise PlanError(f"{where} fills a register for each output and one for its gradient")
        end = place + 1 + backward.count
        if end > (self._open[-1].end if self._open else self._length):
            raise PlanError(f"{where} has a backward of {backward.count} records, which do not follow")
        gradients = filled[len(outputs) :]
        if self._open:
            self._open[-1].filled.difference_update(gradients)
        self._open.append(_Scope(backward, end, set(gradients)))

    def close(self, place: int) -> None:
        """Those that end before `place`."""
        while self._open and self._open[-1].end <= place:
            scope = self._open.pop()
            for register in scope.backward.results:
                if register and (register not in self._filled or register in self._hidden):
                    raise PlanError(f"a backward gives register {register}, which nothing filled before")
            self._hidden |= scope.filled


def _registers(value: Any) -> list[int] | None:
    if type(value) is not list or not all(type(each) is dict and each.keys() == {"p"} for each in value):
        return None
    return [each["p"] for each in value]
