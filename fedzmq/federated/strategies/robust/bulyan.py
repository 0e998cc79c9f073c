"""Krum's choice, and then each coordinate near its median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedzmq.federated.strategies.robust.krum import scores
from fedzmq.federated.strategies.robust.robust import AgainstSome, middle


@dataclass(eq=False)
class Bulyan(AgainstSome):
    """Krum picks n - 2 attackers updates, one after the other; of those, each number is the mean of the ones nearest
    to their median, all but 2 attackers of them.

    El Mhamdi, Guerraoui and Rouault 2018, The Hidden Vulnerability of Distributed Learning in Byzantium, section 4. As
    there, Krum is asked anew after each pick, of the updates that are left: whoever scores all of them once, or picks
    n - 2 attackers - 2, comes to another mean.
    """

    compares: ClassVar[bool] = True

    def needs(self, attackers: int) -> int:
        return 4 * attackers + 3

    def trust(self, distances: torch.Tensor) -> torch.Tensor:
        left = list(range(len(distances)))
        weights = torch.zeros(len(distances), dtype=torch.float64)
        for _ in range(len(distances) - 2 * self.expected):
            among = distances[left][:, left]
            weights[left.pop(int(scores(among, self.expected).argmin()))] = 1
        return weights

    def merge(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        away = (rows - middle(rows.sort(0).values)).abs()
        nearest = away.argsort(dim=0, stable=True)[: len(rows) - 2 * self.expected]
        return rows.gather(0, nearest).mean(0)
