"""Models that compute in half of the precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.recording.recorded import Made

N = 6


class Lowered(nn.Module):
    """A forward whole under autocast, so that its outputs are of half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.LayerNorm(8), nn.Dropout(0.2), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layers(x)


class InParts(nn.Module):
    """One part is kept out of it, and what is made there is as large as the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            h = self.norm(self.first(x)).relu().mean((2, 3))
            h = torch.cat([h, torch.ones(len(x), 1)], 1)
            with torch.autocast(x.device.type, enabled=False):
                return self.last(h.float())


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Linear(4, 3)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.attention(x, x, x)[0].mean(1)).float()


class HalfALayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).relu().to(torch.bfloat16)).float()


def _of(module: Callable[[], nn.Module], *shape: int) -> Callable[[], Made]:
    def make() -> Made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return Made(module(), torch.randn(N, *shape), torch.randint(0, 3, (N,)), F.cross_entropy)

    return make


PRECISION: dict[str, Callable[[], Made]] = {
    "lowered": _of(Lowered, 6),
    "in parts": _of(InParts, 3, 6, 6),
    "attending": _of(Attending, 5, 4),
    "half a layer": _of(HalfALayer, 6),
}
