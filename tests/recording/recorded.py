"""Modules of every common kind with data for them, and their training plans, compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.plans.compiled import constants
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import from_bytes
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.training_plan import training_plan


@dataclass
class Made:
    module: nn.Module
    features: Tensor
    targets: Tensor
    loss: Loss = cross_entropy
    others: tuple[Tensor, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the module is called with."""
        return (self.features, *self.others)

    @cached_property
    def plan(self) -> bytes:
        return training_plan(self.module, self.loss, self.inputs, self.targets)


def made_of(
    module: Callable[[], nn.Module], data: Callable[[], tuple[Tensor, ...]], loss: Loss = cross_entropy
) -> Callable[[], Made]:
    """The same at every call: the last tensor of the data is the targets."""

    def make() -> Made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            features, *others, targets = data()
            return Made(module(), features, targets, loss, tuple(others))

    return make


class Recorded:
    """A plan with a copy of its module's state, as it is now."""

    def __init__(self, made: Made) -> None:
        self.compiled = CompiledPlan(from_bytes(made.plan))
        self.made = made
        self.parameters = [each.detach().clone() for each in made.module.parameters()]
        self.trained = [
            copy.requires_grad_()
            for copy, each in zip(self.parameters, made.module.parameters(), strict=True)
            if each.requires_grad
        ]
        self.buffers = [each.clone() for each in made.module.buffers()]

    def outputs(self) -> tuple[Tensor, ...]:
        """Of one run on the data, which changes the buffers as training does."""
        columns = (*self.made.inputs, self.made.targets)
        fixed = constants(self.compiled.plan)
        return self.compiled.step(len(columns[0]), *self.parameters, *self.buffers, *columns, *fixed)


class FlattenedByView(nn.Module):
    """Names the number of rows itself, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.view(x.size(0), -1).reshape(x.shape[0] * 6).view(len(x), 6))


class Tied(nn.Module):
    """Two layers with one weight, and a second name for it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x).relu()))


class Words(nn.Module):
    """Something between an embedding of words and a linear layer."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8, padding_idx=0)
        self.middle = middle
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        middle = self.middle(self.words(x))
        return self.last((middle[0] if isinstance(middle, tuple) else middle).mean(1))


class Cell(nn.Module):
    """A recurrent cell, started from nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = None
        for step in range(x.shape[1]):
            hidden = self.cell(x[:, step], hidden)
        return self.last(hidden)


class OwnTensors(nn.Module):
    """Makes tensors of its own: a mask, an offset that it also uses again, and a column of ones."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        offset = torch.arange(5.0)
        masked = torch.where(torch.tensor([True, True, False, True, True]), x[:, :5], offset)
        return self.last(torch.cat([masked + offset, torch.ones(len(x), 1)], 1))


class Idle(nn.Module):
    """Has a parameter that nothing uses, one whose gradient is expanded, and one whose gradient is transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.ones(3))
        self.expanded = nn.Parameter(torch.ones(6, 6))
        self.transposed = nn.Parameter(torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.transposed.t() + self.expanded.sum()


def frozen(made: Made) -> Made:
    next(made.module.parameters()).requires_grad_(False)
    return made


def _seeded(make: Callable[[], Made]) -> Callable[[], Made]:
    def seeded() -> Made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return make()

    return seeded


def _of(module: Callable[[], nn.Module], *shape: int) -> Callable[[], Made]:
    return _seeded(lambda: Made(module(), torch.randn(6, *shape), torch.randint(0, 3, (6,))))


def _of_words(middle: Callable[[], nn.Module]) -> Callable[[], Made]:
    return _seeded(lambda: Made(Words(middle()), torch.randint(0, 20, (6, 5)), torch.randint(0, 3, (6,))))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


MODULES: dict[str, Callable[[], Made]] = {
    "linear": _of(lambda: nn.Linear(6, 3), 6),
    "mlp": _of(lambda: nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 3)), 6),
    "cnn": _of(_cnn, 1, 8, 8),
    "batch norm": _of(lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3), nn.BatchNorm1d(3, momentum=0.3)), 6),
    "layer and group norm": _of(lambda: nn.Sequential(nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.Linear(6, 3)), 6),
    "dropout": _of(lambda: nn.Sequential(nn.Linear(6, 7), nn.Dropout(0.5), nn.GELU(), nn.Linear(7, 3)), 6),
    "embedding": _of_words(nn.Identity),
    "transformer": _of_words(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)),
    "lstm": _of_words(lambda: nn.LSTM(8, 8, 2, batch_first=True, bidirectional=False)),
    "gru": _of_words(lambda: nn.GRU(8, 4, batch_first=True, bidirectional=True)),
    "cell": _of(Cell, 4, 3),
    "tied": _of(Tied, 6),
    "flattened by view": _of(FlattenedByView, 6),
    "own tensors": _of(OwnTensors, 6),
    "idle": _of(Idle, 6),
    "frozen": lambda: frozen(MODULES["mlp"]()),
    "regression": _seeded(lambda: Made(nn.Linear(6, 2), torch.randn(6, 6), torch.randn(6, 2), mse_loss)),
}
