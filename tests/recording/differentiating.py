"""Models and losses that take gradients themselves: penalties, physics, energies, inner steps, adversaries."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import grad
from torch.func import functional_call

from tests.recording.recorded import Made
from tests.recording.zoo import N, made_of


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


class Burgers(nn.Module):
    """A field and the residual of its equation, which takes second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.field = network(2, 1)
        self.viscosity = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x.requires_grad_()
        t.requires_grad = True
        u = self.field(torch.cat([x, t], 1))
        by_x, by_t = grad(u, (x, t), torch.ones_like(u), create_graph=True)
        (twice,) = grad(by_x.sum(), x, create_graph=True)
        return u, by_t + u * by_x - self.viscosity * twice


class Critic(nn.Module):
    """Of real and made examples, with a penalty on its slope between them."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.generator = network(6, 1), network(3, 6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        made = self.generator(torch.randn(x.size(0), 3)).detach()
        share = torch.rand(x.size(0), 1)
        between = (share * x + (1 - share) * made).requires_grad_()
        score = self.critic(between)
        (slope,) = grad(score, between, torch.ones(score.size()), create_graph=True)
        return self.critic(made).mean() - self.critic(x).mean(), ((slope.norm(2, dim=1) - 1) ** 2).mean()


class Adapted(nn.Module):
    """Takes steps of its own on some examples before it answers for the others."""

    def __init__(self, create_graph: bool) -> None:
        super().__init__()
        self.network = network(6, 3)
        self.create_graph = create_graph

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        weights = dict(self.network.named_parameters())
        for _ in range(3):
            loss = F.cross_entropy(functional_call(self.network, weights, (x,)), y)
            steps = grad(loss, tuple(weights.values()), create_graph=self.create_graph)
            weights = {name: each - 0.1 * step for (name, each), step in zip(weights.items(), steps, strict=True)}
        answer: Tensor = functional_call(self.network, weights, (x + 0.1,))
        return answer


class Energy(nn.Module):
    """Walks down its own energy, and unlearns where it arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = network(6, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        there = torch.randn_like(x)
        for _ in range(3):
            there = there.detach().requires_grad_()
            there = there - 0.1 * grad(self.energy(there).sum(), there)[0]
        return self.energy(x), self.energy(there.detach())


class Attacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network(6, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        worse = x.clone().requires_grad_()
        (slope,) = grad(F.cross_entropy(self.network(worse), y), worse)
        answer: Tensor = self.network(x + 0.1 * slope.sign())
        return answer


class Unused(nn.Module):
    """One of its gradients has no way to come about."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.other = network(6, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network(x)
        found = grad(
            answer.sum(), [*self.network.parameters(), *self.other.parameters()], create_graph=True, allow_unused=True
        )
        return answer + sum(each.pow(2).sum() for each in found if each is not None)


def invariant(scale: Callable[[], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The penalty of invariant risk minimisation, on a scale that the loss makes itself."""

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        one = scale()
        one.requires_grad_()
        risk = F.cross_entropy(output * one, targets)
        return risk + grad(risk, [one], create_graph=True)[0].pow(2).sum()

    return loss


def _numbers(size: int = 6) -> Tensor:
    return torch.randn(N, size)


def _classes() -> Tensor:
    return torch.arange(N) % 3


DIFFERENTIATING: dict[str, Callable[[], Made]] = {
    "burgers": made_of(
        Burgers,
        lambda: (_numbers(1), _numbers(1), _numbers(1)),
        lambda output, y: F.mse_loss(output[0], y) + output[1].pow(2).mean(),
    ),
    "critic": made_of(Critic, lambda: (_numbers(), _classes()), lambda output, y: output[0] + 10 * output[1]),
    "adapted": made_of(lambda: Adapted(True), lambda: (_numbers(), _classes(), _classes())),
    "adapted in the first order": made_of(lambda: Adapted(False), lambda: (_numbers(), _classes(), _classes())),
    "energy": made_of(
        Energy,
        lambda: (_numbers(), _classes()),
        lambda output, y: output[0].mean() - output[1].mean() + output[0].pow(2).mean(),
    ),
    "attacked": made_of(Attacked, lambda: (_numbers(), _classes(), _classes())),
    "unused": made_of(Unused, lambda: (_numbers(), _classes())),
    "invariant": made_of(lambda: network(6, 3), lambda: (_numbers(), _classes()), invariant(lambda: torch.tensor(1.0))),
    "invariant, of ones": made_of(
        lambda: network(6, 3), lambda: (_numbers(), _classes()), invariant(lambda: torch.ones(1, requires_grad=True))
    ),
}
