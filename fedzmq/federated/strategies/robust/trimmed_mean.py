"""The mean of each coordinate without its extremes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fedzmq.federated.strategies.robust.robust import AgainstSome


@dataclass(eq=False)
class TrimmedMean(AgainstSome):
    """Each number is the mean over the workers without the `attackers` smallest and as many largest.

    Yin et al. 2018, Byzantine-Robust Distributed Learning, definition 2 and algorithm 1, option II, where beta is the
    share attackers / n; a number does not shrink with the workers that answer, as a share would.
    """

    def needs(self, attackers: int) -> int:
        return 2 * attackers + 1

    def merge(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return rows.sort(0).values[self.expected : len(rows) - self.expected].mean(0)
