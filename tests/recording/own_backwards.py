"""Models with autograd functions of their own: no derivatives, outputs saved, gradients taken in a backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function, grad
from torch.nn.functional import cross_entropy, embedding
from torch.utils.checkpoint import checkpoint

from tests.recording.recorded import Made, made_of
from tests.recording.zoo import N


class Sign(Function):
    """Straight through, within bounds."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.is_near = x.abs() <= 1
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (gradient * ctx.is_near).clamp(-0.01, 0.01)


class Reversed(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


class Quantized(Function):
    """In steps of a size that is learned."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: Tensor) -> Tensor:
        whole = (x / size).round().clamp(-4, 3)
        ctx.save_for_backward(x / size, whole, size)
        return whole * size

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, whole, size = ctx.saved_tensors
        inside = (x >= -4) & (x <= 3)
        return gradient * inside, ((whole - x * inside) * gradient).sum().reshape(size.shape)


class Waves(Function):
    """Two outputs, one of which is saved; and it can be differentiated again."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.exp(), x.sin()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[0])

    @staticmethod
    def backward(ctx: Any, by_exp: Tensor, by_sin: Tensor) -> Tensor:
        x, exponential = ctx.saved_tensors
        return by_exp * exponential + by_sin * x.cos()


class Sparse(Function):
    """A softmax that gives zeros, with a backward that writes to what it got."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        falling = x.sort(1, descending=True).values
        rest = falling.cumsum(1) - 1
        count = (torch.arange(1, x.size(1) + 1) * falling > rest).sum(1, keepdim=True)
        output = (x - rest.gather(1, count - 1) / count).clamp(min=0)
        ctx.save_for_backward(count, output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        count, output = ctx.saved_tensors
        gradient = gradient.clone()
        gradient[output == 0] = 0
        return torch.where(output != 0, gradient - gradient.sum(1, keepdim=True) / count, gradient)


class Nearest(Function):
    """The nearest codes, and which those are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        index = torch.cdist(x, codes).argmin(1)
        ctx.save_for_backward(index, codes)
        ctx.mark_non_differentiable(index)
        return codes[index], index

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        index, codes = ctx.saved_tensors
        return gradient.clone(), torch.zeros_like(codes).index_add_(0, index, gradient)


class Recomputed(Function):
    """Keeps its inputs alone, and computes and differentiates once more when it is asked."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x + torch.tanh(x @ weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = [each.detach().requires_grad_() for each in ctx.saved_tensors]
        with torch.enable_grad():
            output = torch.tanh(x @ weight)
            by_x, by_weight = grad(output, (x, weight), gradient)
        return gradient + by_x, by_weight


class Same(Function):
    """Gives what it was given, whose other uses its backward has no part in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (x,) = ctx.saved_tensors
        return None, (gradient * x).sum(0)


class Weighted(nn.Module):
    """Of three uses of a tensor that needs no gradient, one is an own function's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6))
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        answer: Tensor = self.last(Same.apply(x, self.weight) * x * self.weight)
        return answer


class Through(nn.Module):
    """What `between` makes of a layer and another one after it."""

    def __init__(self, between: Callable[..., Tensor], own: Callable[[], Tensor] | None = None) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.between = between
        self.own = nn.ParameterList([] if own is None else [own()])

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.last(self.between(self.first(x), *self.own))
        return answer


class Coded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 4), nn.Linear(4, 6)
        self.codes = nn.Parameter(torch.randn(5, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        code, index = Nearest.apply(z, self.codes)
        return self.decoder(code) - x, z.detach() - embedding(index, self.codes)


class Sloped(Through):
    """Its own slope is in the loss, so that the function's backward is differentiated, too."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x.requires_grad_()
        answer = super().forward(x)
        return answer, grad(answer.sum(), x, create_graph=True)[0]


def halved(x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: (gradient / 2).clamp(-0.01, 0.01))
    y = x.tanh()
    y.register_hook(lambda gradient: None)
    return x + y


class Pruned(Through):
    """Some of its weights have no gradient, by a mask in a hook on all."""

    def __init__(self) -> None:
        super().__init__(torch.tanh)
        mask = (torch.arange(30).view(5, 6) % 3 > 0).float()
        self.first.weight.register_hook(lambda gradient: gradient * mask)

    def __deepcopy__(self, memo: object) -> Pruned:
        """With its hook, which torch's leaves behind."""
        copied = Pruned()
        copied.load_state_dict(self.state_dict())
        return copied


def _of(module: Callable[[], nn.Module], loss: Any = cross_entropy) -> Callable[[], Made]:
    return made_of(module, lambda: (torch.randn(N, 6), torch.arange(N) % 3), loss)


OWN_BACKWARDS: dict[str, Callable[[], Made]] = {
    "straight through": _of(lambda: Through(Sign.apply)),
    "reversed": _of(lambda: Through(lambda x: x + Reversed.apply(x.relu(), 0.3))),
    "quantized": _of(lambda: Through(Quantized.apply, lambda: torch.tensor([0.1]))),
    "waves": _of(lambda: Through(lambda x: sum(Waves.apply(x.tanh())))),
    "one wave": _of(lambda: Through(lambda x: Waves.apply(x.tanh())[1])),
    "sloped waves": _of(
        lambda: Sloped(lambda x: sum(Waves.apply(x.tanh()))),
        lambda output, y: cross_entropy(output[0], y) + output[1].pow(2).sum(),
    ),
    "sparse": _of(lambda: Through(Sparse.apply)),
    "coded": _of(Coded, lambda output, y: output[0].pow(2).mean() + output[1].pow(2).mean()),
    "recomputed": _of(
        lambda: Through(
            lambda x, weight: Recomputed.apply(Recomputed.apply(x, weight), weight), lambda: torch.randn(5, 5)
        )
    ),
    "the same": _of(Weighted),
    "halved": _of(lambda: Through(halved)),
    "pruned": _of(Pruned),
    "checkpointed": _of(lambda: Through(lambda x: checkpoint(torch.tanh, x, use_reentrant=True))),
}
