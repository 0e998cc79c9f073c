"""Adaptive optimizers at the coordinator.

Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2. The way from the model to the workers' mean is in the
place of a gradient; the means are weighted by examples, as in section 5 there. There is no bias correction, as there is
none in the paper; Flower has one for Adam, and other defaults: an lr of 0.1, a tau of 1e-9 and squares that begin at 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch

from fedzmq.federated.strategies.numbers import a_share, above, at_least
from fedzmq.federated.strategies.server_step import ServerStep


@dataclass(eq=False)
class FedOpt(ServerStep):
    """mean_way = beta1 * mean_way + (1 - beta1) * way; model = model + lr * mean_way / (sqrt(squares) + tau).

    Each optimizer has its own rule for `squares`, which begins with `initial` everywhere; 0 is tau squared, the least
    that the paper has. The smaller tau, the more adaptive.
    """

    lr: float = 0.01
    beta1: float = 0.9
    tau: float = 1e-3
    initial: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        above("lr", self.lr, 0)
        a_share("beta1", self.beta1)
        above("tau", self.tau, 0)
        at_least("initial", self.initial, 0)

    def move(self, name: str, way: torch.Tensor) -> torch.Tensor:
        mean_way = self.remembered("mean", name, way).mul_(self.beta1).add_(way, alpha=1 - self.beta1)
        squares = self.remembered("squares", name, way, self.initial or self.tau**2)
        self.gather(squares, way.square())
        return self.lr * mean_way / (squares.sqrt() + self.tau)

    @abstractmethod
    def gather(self, squares: torch.Tensor, square: torch.Tensor) -> None:
        """Change `squares` in place by the new square."""


@dataclass(eq=False)
class FedAdagrad(FedOpt):
    """squares = squares + way^2. As in the paper's experiments, beta1 is 0."""

    beta1: float = 0.0

    def gather(self, squares: torch.Tensor, square: torch.Tensor) -> None:
        squares.add_(square)


@dataclass(eq=False)
class FedAdam(FedOpt):
    """squares = beta2 * squares + (1 - beta2) * way^2."""

    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        a_share("beta2", self.beta2)

    def gather(self, squares: torch.Tensor, square: torch.Tensor) -> None:
        squares.mul_(self.beta2).add_(square, alpha=1 - self.beta2)


@dataclass(eq=False)
class FedYogi(FedAdam):
    """squares = squares - (1 - beta2) * way^2 * sign(squares - way^2)."""

    def gather(self, squares: torch.Tensor, square: torch.Tensor) -> None:
        squares.sub_((1 - self.beta2) * square * (squares - square).sign())
