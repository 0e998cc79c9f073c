"""The median of each coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fedzmq.federated.strategies.robust.robust import Robust, middle


@dataclass(eq=False)
class Median(Robust):
    """Each number of the model is the median of that number over the workers. Holds while less than half attack.

    Yin et al. 2018, Byzantine-Robust Distributed Learning, definition 1 and algorithm 1, option I.
    """

    def merge(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return middle(rows.sort(0).values)
