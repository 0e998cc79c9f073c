"""Models and losses that compute with the number of examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.recording.recorded import Made

N = 6


class TwoViews(nn.Module):
    """Both views of an example in one batch of twice the size, as contrastive learning has them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.linear(torch.cat([one, other]))


class BatchOfGraphs(nn.Module):
    """All graphs of a batch in one, whose nodes are numbered on."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        graphs, nodes, _ = x.shape
        first = torch.arange(graphs)[:, None] * nodes
        source, target = ((edges[..., end] + first).reshape(-1) for end in (0, 1))
        h = self.nodes(x.reshape(graphs * nodes, -1))
        h = h.new_zeros(h.shape).index_add_(0, target, h[source]).relu()
        which = torch.arange(graphs).repeat_interleave(nodes)
        return self.last(torch.zeros(graphs, 6).index_add_(0, which, h) / nodes)


def apart(outputs: Tensor, targets: Tensor) -> Tensor:
    """NT-Xent, which finds the pairs half of a batch away."""
    z = F.normalize(outputs, dim=1)
    half = z.shape[0] // 2
    alike = (z @ z.T / 0.5).masked_fill(torch.eye(len(z)).bool(), float("-inf"))
    return F.cross_entropy(alike, torch.arange(len(z)).roll(half))


def in_halves(outputs: Tensor, targets: Tensor) -> Tensor:
    half = len(outputs) // 2
    one, other = torch.split(outputs, [half, len(outputs) - half])
    return F.cross_entropy(one, targets[:half]) + other.square().mean()


def hardest(outputs: Tensor, targets: Tensor) -> Tensor:
    losses = F.cross_entropy(outputs, targets, reduction="none")
    return losses.topk(max(1, int(0.7 * len(targets))))[0].mean() + losses.topk(min(len(losses), 3))[0].sum()


def variance(outputs: Tensor, targets: Tensor) -> Tensor:
    away = (outputs - outputs.mean(0)).square().sum()
    return away / max(len(outputs) - 1, 1) - away * (1 / (len(outputs) + 1))


def of_all(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean in the logarithm, and one over the pairs."""
    pairs = len(outputs) * (len(outputs) - 1) // 2
    most = (outputs @ outputs.T).logsumexp(1) - math.log(len(outputs))
    return most.mean() + torch.pdist(outputs).sum() / pairs + outputs.sum() / torch.tensor(len(outputs))


def at_its_class(outputs: Tensor, targets: Tensor) -> Tensor:
    return -outputs.log_softmax(1)[torch.tensor(range(len(targets))), targets].mean()


def _of(module: Callable[[], nn.Module], loss: Any, *others: Callable[[], Tensor]) -> Callable[[], Made]:
    def make() -> Made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            columns = [other() for other in others] or [torch.randn(N, 6)]
            return Made(module(), columns[0], torch.randint(0, 3, (N,)), loss, tuple(columns[1:]))

    return make


def _linear() -> nn.Module:
    return nn.Linear(6, 3)


SIZES: dict[str, Callable[[], Made]] = {
    "two views": _of(TwoViews, apart, lambda: torch.randn(N, 6), lambda: torch.randn(N, 6)),
    "batch of graphs": _of(
        BatchOfGraphs, F.cross_entropy, lambda: torch.randn(N, 5, 4), lambda: torch.randint(0, 5, (N, 7, 2))
    ),
    "in halves": _of(_linear, in_halves),
    "hardest": _of(_linear, hardest),
    "variance": _of(_linear, variance),
    "of all": _of(_linear, of_all),
    "at its class": _of(_linear, at_its_class),
    "sparse": _of(
        lambda: nn.Sequential(nn.Embedding(20, 4, sparse=True), nn.Flatten(), nn.Linear(20, 3)),
        F.cross_entropy,
        lambda: torch.randint(0, 20, (N, 5)),
    ),
}
