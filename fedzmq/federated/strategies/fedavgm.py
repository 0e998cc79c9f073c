"""Momentum at the coordinator."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fedzmq.federated.strategies.numbers import a_share, above
from fedzmq.federated.strategies.server_step import ServerStep


@dataclass(eq=False)
class FedAvgM(ServerStep):
    """velocity = momentum * velocity + (mean - model); model = model + lr * velocity.

    Hsu, Qi and Brown 2019, Measuring the Effects of Non-Identical Data Distribution, section 4.3.
    """

    momentum: float = 0.9
    lr: float = 1.0

    def __post_init__(self) -> None:
        a_share("momentum", self.momentum)
        above("lr", self.lr, 0)

    def move(self, name: str, way: torch.Tensor) -> torch.Tensor:
        velocity = self.remembered("velocity", name, way).mul_(self.momentum).add_(way)
        return self.lr * velocity
