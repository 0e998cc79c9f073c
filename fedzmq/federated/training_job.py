"""What a federated training is to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedzmq.errors import UsageError


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The numbers of a run, the same for every worker.

    `options` are the optimizer's, such as {"lr": 0.1}. `workers` have to be here before the first round; a later round
    goes on with `least`, and waits `patience` seconds for so many. Raises UsageError for a number that makes no sense.
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

    def __post_init__(self) -> None:
        for name in ("rounds", "epochs", "batch_size", "workers", "least"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, and at least 1 is needed")
        if self.patience < 0:
            raise UsageError(f"patience is {self.patience:g} s, and it cannot be negative")
