"""A proximal term in local training."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Strategy


@dataclass(eq=False)
class FedProx(Strategy):
    """A worker minimises its loss + mu/2 * |weights - weights that came|^2; the mean is that of federated averaging.

    The weights are all that is trained, and the term is part of a gradient, before that is clipped. Li et al. 2020,
    Federated Optimization in Heterogeneous Networks, equation 2 and algorithm 2.
    """

    mu: float = 0.1

    def __post_init__(self) -> None:
        at_least("mu", self.mu, 0)

    def ask(self, worker: str) -> Instructions:
        return Instructions(proximal=self.mu)
