"""The plans that a worker was given, checked and compiled, by the hash of their bytes."""

from __future__ import annotations

from collections import OrderedDict

from fedzmq.plans.check import check
from fedzmq.plans.compiled import Step, compile_plan
from fedzmq.plans.plan import Plan, from_bytes, name_of

MOST_PLANS = 64


class PlanShelf:
    """Keeps the plans used last. A name cannot be claimed by another plan, because it is a hash."""

    def __init__(self, most: int = MOST_PLANS) -> None:
        self._most = most
        self._plans: OrderedDict[str, tuple[Plan, Step]] = OrderedDict()

    def add(self, body: bytes) -> str:
        """Take a plan in, and give its name. Raises ProtocolError or PlanError, and then keeps nothing."""
        name = name_of(body)
        if name not in self._plans:
            plan = from_bytes(body)
            check(plan)
            self._plans[name] = plan, compile_plan(plan)
            while len(self._plans) > self._most:
                self._plans.popitem(last=False)
        return name

    def get(self, name: str) -> tuple[Plan, Step] | None:
        """The plan of that name; None where it was never given, or has made room for others."""
        if name in self._plans:
            self._plans.move_to_end(name)
        return self._plans.get(name)
