"""What stays on a worker between the rounds of a run: control variates, personal parameters, models of its own.

It is kept by round, and a round goes on from the last one that counted: trained twice, or in vain, it leaves no trace.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import torch

MOST_RUNS = 16


@dataclass(frozen=True, slots=True)
class RunName:
    """A run draws a name that nobody guesses; its plan and data set are part of it, so that what is kept fits them."""

    run: str
    plan: str
    dataset: str


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Tensors of one worker after one round, by the name of the parameter or buffer.

    control: control variates. personal: parameters and buffers that stay here. model: the whole state of a second one.
    """

    control: dict[str, torch.Tensor] = field(default_factory=dict)
    personal: dict[str, torch.Tensor] = field(default_factory=dict)
    model: dict[str, torch.Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.control or self.personal or self.model)


class Memory:
    """Keeps the runs used last, and of each the round that counted last and those after it."""

    def __init__(self, most: int = MOST_RUNS) -> None:
        self._most = most
        self._runs: OrderedDict[RunName, dict[int, Kept]] = OrderedDict()

    def recall(self, name: RunName, basis: int) -> Kept:
        """What round `basis` kept; what other rounds did is forgotten. Nothing where this worker does not know it."""
        rounds = self._runs.get(name)
        if rounds is None:
            return Kept()
        kept = rounds.get(basis)
        rounds.clear()
        if kept is None:
            return Kept()
        rounds[basis] = kept
        return kept

    def keep(self, name: RunName, round: int, kept: Kept) -> None:
        """For a later round. What is kept must not be changed any more."""
        self._runs.setdefault(name, {})[round] = kept
        self._runs.move_to_end(name)
        while len(self._runs) > self._most:
            self._runs.popitem(last=False)
