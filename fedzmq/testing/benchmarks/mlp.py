"""The training step that is measured: 64-64-10, a batch of 32, nn.Module and torch.optim.SGD as everybody writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fedzmq.pointers.destination import Destination
from fedzmq.testing.benchmarks.rows import CLASSES, FEATURES

BATCH = 32
HIDDEN = 64


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


class Training:
    """Steps on one batch, here or, with `place`, there: every operation of them."""

    def __init__(self, place: Destination | None = None) -> None:
        x, y = torch.randn(BATCH, FEATURES), torch.randint(CLASSES, (BATCH,))
        self.model = model()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self._wait: Callable[[], object] = lambda: None
        self._x: torch.Tensor = x
        self._y: torch.Tensor = y
        if place is not None:
            verbs: Any = (self.model, x, y)  # a client gave them `send`
            verbs[0].send(place)
            self._x, self._y = verbs[1].send(place), verbs[2].send(place)
            self._wait = place.stream.sync

    def step(self) -> None:
        self.optimizer.zero_grad()
        loss: Any = functional.cross_entropy(self.model(self._x), self._y)
        loss.backward()
        self.optimizer.step()

    def time(self, steps: int) -> float:
        """Seconds for one of so many steps, until the last of them is done."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self._wait()
        return (time.perf_counter() - start) / steps
