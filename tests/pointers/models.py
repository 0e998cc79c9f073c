"""Models and data that several tests train, the same at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tests.pointers.loopback import Place

X = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 5, (16,), generator=torch.Generator().manual_seed(2))
IMAGES = torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(3))
LABELS = torch.randint(0, 5, (8,), generator=torch.Generator().manual_seed(4))

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


def mlp() -> nn.Sequential:
    return seeded(lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5)))


def cnn() -> nn.Sequential:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 5),
        )
    )


def seeded(make: Callable[[], nn.Sequential]) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return make()


def train(model: nn.Module, optimizer: Optimizer, x: Tensor = X, y: Tensor = Y, steps: int = 5) -> Tensor:
    """The loss of the last step."""

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(model(x), y)
        value.backward()
        return value

    for _ in range(steps):
        if isinstance(optimizer, torch.optim.LBFGS):
            last = optimizer.step(loss)
        else:
            last = loss()
            optimizer.step()
    return last.detach()


def assert_same(remote: nn.Module, local: nn.Module, tolerance: float = 1e-5) -> None:
    """Parameters and buffers of a model on a worker are those of one that was trained here."""
    theirs, ours = remote.state_dict(), local.state_dict()
    assert theirs.keys() == ours.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name].get(), value, rtol=tolerance, atol=tolerance, msg=name)


def sent(place: Place, *tensors: Tensor) -> list[Tensor]:
    return [tensor.send(place) for tensor in tensors]
