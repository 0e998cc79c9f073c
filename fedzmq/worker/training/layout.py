"""Which tensors of a plan's state are shared with the others, and which are a worker's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.errors import UsageError
from fedzmq.plans.plan import Plan


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in the state, which is the plan's parameters and then its buffers.

    pulled: parameters that are trained and shared. free: trained and personal. personal: all that is. shared: all else.
    """

    names: tuple[str, ...]
    pulled: tuple[int, ...]
    free: tuple[int, ...]
    personal: tuple[int, ...]
    shared: tuple[int, ...]

    @property
    def pulled_names(self) -> list[str]:
        return [self.names[place] for place in self.pulled]

    def copy(self, state: Sequence[torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """The state, with the worker's own values in their places, where there are any."""
        return [copied(own.get(name, tensor)) for name, tensor in zip(self.names, state, strict=True)]

    def fill(self, state: Sequence[torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """As `copy`, in the memory of `state` but for what is personal, which outlives it."""
        # Under inference mode, which a worker in the program's own process may meet, what came cannot be trained.
        filled = [copied(each) if each.is_inference() else each.detach().contiguous() for each in state]
        for place in self.personal:
            filled[place] = copied(own.get(self.names[place], filled[place]))
        return filled

    def by_name(self, state: Sequence[torch.Tensor], places: Sequence[int]) -> dict[str, torch.Tensor]:
        return {self.names[place]: state[place].detach() for place in places}


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """Its values in a row, in memory of their own."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def layout(plan: Plan, personal: Sequence[str]) -> Layout:
    """Raises UsageError for the name of something that the plan does not have."""
    names = tuple(slot.name for slot in plan.state)
    for name in personal:
        if name not in names:
            raise UsageError(f"{name!r} is to stay on the worker, and the plan has no parameter or buffer of that name")
    own = {place for place, name in enumerate(names) if name in set(personal)}
    trained = [place for place, slot in enumerate(plan.parameters) if slot.trained]
    return Layout(
        names,
        tuple(place for place in trained if place not in own),
        tuple(place for place in trained if place in own),
        tuple(sorted(own)),
        tuple(place for place in range(len(names)) if place not in own),
    )
