"""A plan with the steps that it was compiled to. The one without metrics is made when it is first wanted, and kept."""

from __future__ import annotations

from functools import cached_property

from fedzmq.plans.compiled import MOST_BYTES, Step, compile_plan
from fedzmq.plans.first_output import for_first_output
from fedzmq.plans.plan import Plan


class CompiledPlan:
    """Raises ProtocolError or OperationRefused for a plan that holds what no plan may, see `compile_plan`."""

    def __init__(self, plan: Plan, most_bytes: int = MOST_BYTES) -> None:
        self.plan = plan
        self.step = compile_plan(plan, most_bytes)
        self._most_bytes = most_bytes

    @cached_property
    def first_output(self) -> Step:
        """As `step`, for the first output alone: the loss without the metrics."""
        return compile_plan(for_first_output(self.plan), self._most_bytes)
