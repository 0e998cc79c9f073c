from __future__ import annotations

import random

import numpy as np
import torch

from fedzmq.federated.ledger.randomness import Randomness, restore


def draw() -> tuple[float, float, float, float]:
    return float(torch.rand(())), float(np.random.random()), random.random(), random.gauss(0, 1)


def test_what_was_drawn_after_a_snapshot_is_drawn_again() -> None:
    randomness = Randomness()
    for _ in range(2):
        before = randomness.snapshot()
        first = draw()
        restore(before)

        assert draw() == first
