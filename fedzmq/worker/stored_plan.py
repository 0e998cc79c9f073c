"""A plan among the tensors of one client, with what it keeps there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from fedzmq.plans.compiled import Step, constants
from fedzmq.plans.plan import Plan


@dataclass(eq=False)
class StoredPlan:
    """A plan that was checked and compiled, and the ids of its state; `tensor` has what its owner keeps under them.

    `writes` are the registers that its owner says it writes to, `touches` those that its records name as written.
    `key` is what other clients know it by, if it is shared.
    """

    tensor: Callable[[int], Tensor]
    plan: Plan
    step: Step
    state: tuple[int, ...]
    writes: tuple[int, ...]
    touches: frozenset[int]
    is_random: bool
    key: str = ""
    constants: list[Tensor] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def fresh_constants(self) -> list[Tensor]:
        """Made anew where something wrote to them: no run is to see what another wrote."""
        if len(self.versions) != len(self.plan.constants) or self._are_written:
            self.constants = constants(self.plan)
            self.versions = [each._version for each in self.constants]
        return self.constants

    @property
    def _are_written(self) -> bool:
        return any(each._version != version for each, version in zip(self.constants, self.versions, strict=True))

    def ids(self, arguments: Sequence[int]) -> tuple[int, ...]:
        """Of all that the plan is given but constants, in its order."""
        count = len(self.plan.parameters)
        return (*arguments[:count], *self.state, *arguments[count:])
