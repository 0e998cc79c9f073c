"""What a federated training is to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedzmq.errors import UsageError


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The numbers of a run, the same for every worker.

    `options` are the optimizer's, such as {"lr": 0.1}. `workers` have to be here before the first round; a later round
    goes on with `least`, and waits `patience` seconds for so many.

    A round asks `cohort` workers, or the `fraction` of those that are here, rounded up; without either, all of them.
    Who it is follows from the seed. `over_selection` of 1.3 asks 30 % more, and goes on when as many have answered as
    were wanted. Once `deadline` seconds are over, a round also goes on with `quorum` answers (default: 1). It drops
    what comes later.

    Raises UsageError for a number that makes no sense.
    """

    dataset: str
    rounds: int = 10
    epochs: int = 1
    batch_size: int = 32
    optimizer: str = "sgd"
    options: Mapping[str, float | int | bool] = field(default_factory=dict)
    seed: int = 0
    workers: int = 1
    least: int = 1
    patience: float = 30.0
    cohort: int | None = None
    fraction: float | None = None
    over_selection: float = 1.0
    quorum: int | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        for name in ("rounds", "epochs", "batch_size", "workers", "least", "cohort", "quorum"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}, and at least 1 is needed")
        if self.patience < 0:
            raise UsageError(f"patience is {self.patience:g} s, and it cannot be negative")
        if self.cohort is not None and self.fraction is not None:
            raise UsageError("cohort and fraction both say how many workers a round asks; give one of them")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UsageError(f"fraction is {self.fraction:g}, and a number above 0 and up to 1 is needed")
        if not 1 <= self.over_selection < math.inf:
            raise UsageError(f"over_selection is {self.over_selection:g}, and it is a factor of at least 1")
        if self.deadline is not None and not self.deadline >= 0:
            raise UsageError(f"deadline is {self.deadline:g} s, and it cannot be negative")
        if self.quorum is not None and self.deadline is None:
            raise UsageError("quorum needs a deadline in seconds; with 0, a round is over with its quorum")
        if self.quorum is not None and self.cohort is not None and self.quorum > self.cohort:
            raise UsageError(f"quorum is {self.quorum}, and a round asks a cohort of {self.cohort}")

    def wanted(self, present: int, needed: int = 1) -> int:
        """How many answers a round goes for, where so many workers are here, and `needed` at the least make a round."""
        size = present if self.cohort is None else self.cohort
        if self.fraction is not None:
            size = _up(self.fraction * present)
        return min(present, max(size, needed))

    def asked(self, present: int, needed: int = 1) -> int:
        """How many workers it asks for them."""
        return min(present, _up(self.wanted(present, needed) * self.over_selection))


def _up(number: float) -> int:
    """To the next integer, but for the error of a product: 0.1 * 30 is 3."""
    return math.ceil(round(number, 9))
