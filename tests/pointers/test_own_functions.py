from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

from fedzmq.errors import OperationRefused, TensorsNotCollocatedException
from tests.pointers.loopback import Place

close = torch.testing.assert_close
Send = Callable[[Tensor], Tensor]


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * gradients[0] * x * x


class Exp(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (y,) = ctx.saved_tensors
        return gradients[0] * y


class Clipped(Function):
    """Not linear in its gradient: to be run once, on all of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0].clamp(-0.5, 0.5)


class Several(Function):
    @staticmethod
    def forward(x: Tensor, factor: float = 2.0) -> tuple[Tensor, Tensor, Tensor]:
        return x * factor, x * 3, x > 1

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.factor + gradients[1] * 30, None


class Written(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 2


class First(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        return x + 0 * y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 3, None


class Wrong(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, by: int) -> Tensor:
        return x * by

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0][:2], None


def leaf(send: Send) -> Tensor:
    return send(torch.tensor([0.5, -1.0, 2.0])).requires_grad_()


def through(function: Callable[[Tensor], Tensor]) -> Callable[[Send], list[Any]]:
    def case(send: Send) -> list[Any]:
        x = leaf(send)
        function(x).sum().backward()
        return [x.grad]

    return case


def second_derivative(function: type[Function]) -> Callable[[Send], list[Any]]:
    def case(send: Send) -> list[Any]:
        x = leaf(send)
        (gradient,) = torch.autograd.grad(function.apply(x * 2).sum(), x, create_graph=True)
        (gradient * gradient).sum().backward()
        return [gradient, x.grad]

    return case


def diamond(x: Tensor) -> Tensor:
    y = Clipped.apply(x * 1)
    return Cube.apply(y) + Exp.apply(y) + 2 * y


def of_a_model(send: Send) -> list[Any]:
    torch.manual_seed(0)
    weight = send(torch.randn(3, 3)).requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        Cube.apply(leaf(send).detach() @ weight).pow(2).mean().backward()
        optimizer.step()
    return [weight]


def checkpointed(send: Send) -> list[Any]:
    torch.manual_seed(0)
    weights = [send(torch.randn(3, 3)).requires_grad_() for _ in range(2)]
    x = leaf(send)
    first = checkpoint(lambda t: (t @ weights[0]).tanh(), x, use_reentrant=True)
    checkpoint(lambda t: (t @ weights[1]).exp(), first, use_reentrant=True).sum().backward()
    return [x.grad, *[weight.grad for weight in weights]]


def written_after(send: Send) -> list[Any]:
    x = leaf(send)
    y = Clipped.apply(x * 1)
    z = Cube.apply(y)
    z.mul_(3)
    z.sum().backward()
    return [z, x.grad]


def without_the_second(send: Send) -> list[Any]:
    x, y, z = leaf(send), leaf(send), leaf(send)
    again = y * 2
    again.retain_grad()
    (First.apply(x, again) + First.apply(x, z) + z).sum().backward()
    root = (First.apply(x, y * 2) * 2).sum()
    return [x.grad, y.grad, again.grad, z.grad, *torch.autograd.grad(root, (x, y), allow_unused=True)]


CASES: dict[str, Callable[[Send], list[Any]]] = {
    "one": through(Cube.apply),
    "a chain": through(lambda x: Cube.apply(Cube.apply(x).tanh()) * 2),
    "a diamond": through(diamond),
    "several outputs": through(lambda x: Several.apply(x, 5.0)[1]),
    "an argument left out": through(lambda x: Several.apply(x)[0]),
    "a transposed input": through(lambda x: Cube.apply(x.expand(2, 3).t())),
    "without a gradient": lambda send: [Cube.apply(leaf(send).detach())],
    "a gradient of None": without_the_second,
    "a saved input": second_derivative(Cube),
    "a saved output": second_derivative(Exp),
    "rows of a jacobian": lambda send: [torch.autograd.functional.jacobian(Cube.apply, leaf(send).detach())],
    "an optimizer": of_a_model,
    "a reentrant checkpoint": checkpointed,
    "an output that is written to": written_after,
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_of_ones_own_does_what_it_does_here(bob: Place, name: str) -> None:
    wanted = CASES[name](lambda tensor: tensor)
    found = CASES[name](lambda tensor: tensor.send(bob))
    assert [each is None for each in found] == [each is None for each in wanted]
    pairs = [each for each in zip(wanted, found, strict=True) if each[0] is not None]
    for here, there in pairs:
        assert there.requires_grad == here.requires_grad
        close(there.detach().clone().get(), here.detach())


def test_an_input_whose_gradient_is_none_is_unused(bob: Place) -> None:
    x, y = leaf(lambda tensor: tensor.send(bob)), leaf(lambda tensor: tensor.send(bob))
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        torch.autograd.grad(First.apply(x, y).sum(), (x, y))


def test_what_a_function_saved_is_not_written_to_in_silence(bob: Place) -> None:
    weight = leaf(lambda tensor: tensor.send(bob))
    loss = Cube.apply(weight).sum()
    with torch.no_grad():
        weight.add_(1)
    loss.backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        weight.grad.copy().get()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        weight.get()


def test_a_gradient_of_another_form_is_an_error_that_names_the_function(bob: Place) -> None:
    with pytest.raises(RuntimeError, match=r"WrongBackward returned an invalid gradient at index 0 - got \[2\]"):
        Wrong.apply(leaf(lambda tensor: tensor.send(bob)), 2).sum().backward()


def test_a_function_that_writes_to_its_input_is_refused(bob: Place) -> None:
    with pytest.raises(OperationRefused, match="instead of mark_dirty"):
        Written.apply(leaf(lambda tensor: tensor.send(bob)) * 1)


def test_a_function_of_a_local_tensor_that_requires_a_gradient_is_refused(bob: Place) -> None:
    class Sum(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    with pytest.raises(TensorsNotCollocatedException, match="a gradient, which would be lost"):
        Sum.apply(leaf(lambda tensor: tensor.send(bob)), nn.Parameter(torch.ones(3)))


def test_functions_leave_nothing_behind_on_the_worker(bob: Place) -> None:
    x = leaf(lambda tensor: tensor.send(bob))
    for _ in range(5):
        diamond(x).sum().backward()
    gc.collect()
    assert bob.stored == 2  # x and its gradient
