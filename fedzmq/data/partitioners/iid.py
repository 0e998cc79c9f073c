"""Rows dealt out at random: the IID case of McMahan et al. 2017 (arXiv:1602.05629, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import Marks, Partitioner, Rows, dealt, even


@dataclass(frozen=True, slots=True)
class Iid(Partitioner):
    """Every part is as large as the next, or one larger."""

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        owners = np.empty(len(marks), dtype=np.int64)
        dealt(stream.permutation(len(marks)), even(len(marks), parts), owners)
        return owners
