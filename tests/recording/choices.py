"""Models and losses that choose by masks, so that only values tell how much there is to compute with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.recording.recorded import Made

N = 6


class Experts(nn.Module):
    """Each example goes to the two experts that the gate prefers, and to no other."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 4)
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.gate(x).softmax(-1).topk(2, -1)
        outputs = torch.zeros(len(x), 3)
        for number, expert in enumerate(self.experts):
            row, place = torch.where(chosen == number)
            outputs.index_add_(0, row, expert(x[row]) * weights[row, place, None])
        return outputs


class GroupedExperts(nn.Module):
    """Sorts the examples by their expert, and multiplies each group by the matrix of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.gate = nn.Linear(8, 4)
        self.matrices = nn.Parameter(torch.randn(4, 8, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        share, chosen = self.gate(x).softmax(1).max(1)
        order = chosen.argsort(stable=True)
        ends = F.one_hot(chosen, 4).sum(0).cumsum(0).int()
        given: Tensor = F.grouped_mm(x[order], self.matrices, offs=ends)
        return given[order.argsort()] * share.unsqueeze(1)


class OneExpert(Experts):
    """Reads and writes under a mask."""

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.gate(x).argmax(-1)
        outputs = torch.zeros(len(x), 3)
        for number, expert in enumerate(self.experts):
            outputs[chosen == number] = expert(x[chosen == number])
        return outputs


class Flipped(nn.Module):
    """Half of the images are, by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        flipped = torch.rand(len(x)) < 0.5
        x = x.clone()
        x[flipped] = x[flipped].flip(-1)
        return self.last(x.flatten(1))


def masked_words(outputs: Tensor, targets: Tensor) -> Tensor:
    there = targets != 0
    return F.cross_entropy(outputs[there], targets[there])


def masked_twice(outputs: Tensor, targets: Tensor) -> Tensor:
    """One mask, made anew for each use, and in another shape."""
    flat = outputs.view(-1, outputs.size(-1))[(targets != 0).view(-1)]
    return F.cross_entropy(flat, targets[targets != 0], reduction="sum") / max(1, len(flat))


def of_what_is_there(outputs: Tensor, targets: Tensor) -> Tensor:
    there = ~torch.isnan(targets)
    away = outputs.masked_select(there) - targets.masked_select(there)
    return away.square().sum() / away.numel() + outputs[outputs > 0].mean()


def others_in_view(outputs: Tensor, targets: Tensor) -> Tensor:
    """InfoNCE over all but oneself, which a mask takes out of every row."""
    z = F.normalize(outputs, dim=1)
    others = ~torch.eye(len(z), dtype=torch.bool)
    alike = (z @ z.T)[others].view(len(z), -1)
    same = (targets[None] == targets[:, None])[others].view(len(z), -1)
    return F.binary_cross_entropy_with_logits(alike, same.float()) + alike.logsumexp(1).mean()


def by_class(outputs: Tensor, targets: Tensor) -> Tensor:
    weights = 1 / torch.bincount(targets, minlength=3).clamp(min=1)
    rare = (targets == 2).nonzero().squeeze(1)
    return F.cross_entropy(outputs, targets, weights) + outputs.index_select(0, rare).square().sum()


def centres(outputs: Tensor, targets: Tensor) -> Tensor:
    found, which = targets.unique(return_inverse=True)
    sums = torch.zeros(len(found), 3).index_add_(0, which, outputs)
    return (outputs - sums[which] / len(found)).square().mean()


def _of(module: Callable[[], nn.Module], loss: Any, targets: Callable[[], Tensor], *shape: int) -> Callable[[], Made]:
    def make() -> Made:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return Made(module(), torch.randn(N, *shape), targets(), loss)

    return make


def _linear() -> nn.Module:
    return nn.Linear(6, 3)


def _classes() -> Tensor:
    return torch.randint(0, 3, (N,))


def _words() -> Tensor:
    return torch.randint(0, 3, (N, 5))


def _with_gaps() -> Tensor:
    return torch.where(torch.rand(N, 3) > 0.7, float("nan"), torch.randn(N, 3))


CHOICES: dict[str, Callable[[], Made]] = {
    "experts": _of(Experts, F.cross_entropy, _classes, 6),
    "grouped experts": _of(GroupedExperts, F.cross_entropy, _classes, 6),
    "one expert": _of(OneExpert, F.cross_entropy, _classes, 6),
    "flipped": _of(Flipped, F.cross_entropy, _classes, 3, 4),
    "masked words": _of(_linear, masked_words, _words, 5, 6),
    "masked twice": _of(_linear, masked_twice, _words, 5, 6),
    "what is there": _of(_linear, of_what_is_there, _with_gaps, 6),
    "others in view": _of(_linear, others_in_view, _classes, 6),
    "by class": _of(_linear, by_class, _classes, 6),
    "centres": _of(_linear, centres, _classes, 6),
}
