"""Hooks on pointers see and change what hooks on local tensors see and change."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from fedzmq.errors import OperationRefused
from tests.pointers.loopback import Place
from tests.pointers.models import X, mlp

Value = Callable[[Tensor], Tensor]
close = torch.testing.assert_close


def on_leaf(p: Tensor, value: Value) -> Any:
    p.register_hook(lambda g: g * 2)
    p.register_hook(lambda g: g + 1)
    (p * 3).sum().backward()
    return value(p.grad)


def in_the_middle(p: Tensor, value: Value) -> Any:
    q = p * 3
    q.register_hook(lambda g: g * 2)
    loss = (q * q).sum() + p.sum()
    del q
    loss.backward()
    return value(p.grad)


def one_above_the_other(p: Tensor, value: Value) -> Any:
    q = p * 3
    q.register_hook(lambda g: torch.nan_to_num(g, 0.0, 0.0, 0.0))
    r = q * 2
    r.register_hook(lambda g: g / 0)
    p.register_hook(lambda g: g + 1)
    (r.sum() + (q**2).sum()).backward()
    return value(p.grad)


def on_the_root(p: Tensor, value: Value) -> Any:
    loss = p.sum()
    loss.register_hook(lambda g: g * 5)
    loss.backward()
    return value(p.grad)


def on_the_way_from_several_roots(p: Tensor, value: Value) -> Any:
    q = p * 3
    q.register_hook(lambda g: g * g)
    torch.autograd.backward([q.sum(), (q * 2).sum(), q], [None, None, torch.ones_like(q)])
    return value(p.grad)


def retained(p: Tensor, value: Value) -> Any:
    q = p * 3
    q.retain_grad()
    q.register_hook(lambda g: g * 2)
    loss = (q * q).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return value(q.grad), value(p.grad), q.retains_grad, p.retains_grad


def of_gradients(p: Tensor, value: Value) -> Any:
    q = p * 3
    seen: list[int] = []
    q.register_hook(lambda g: g * 2)
    p.register_hook(lambda g: g + 1)
    (aside := p + 1).register_hook(lambda g: seen.append(1))
    loss = (q * q).sum() + aside.sum()
    first = value(torch.autograd.grad(loss, q, retain_graph=True)[0])
    return first, seen, value(torch.autograd.grad(loss, p)[0]), seen


def of_a_second_order(p: Tensor, value: Value) -> Any:
    p.register_hook(lambda g: g * 2)
    q = p * p
    q.register_hook(lambda g: g * g)
    (gradient,) = torch.autograd.grad((q * q).sum(), p, create_graph=True)
    gradient.sum().backward()
    return value(p.grad)


def into_inputs(p: Tensor, value: Value) -> Any:
    q = p * 3
    q.register_hook(lambda g: g * 2)
    (q * q).sum().backward(inputs=[p])
    return value(p.grad)


def in_place(p: Tensor, value: Value) -> Any:
    p.register_hook(lambda g: g.clamp_(-1, 1))
    (p * 3).sum().backward()
    return value(p.grad)


def once_it_is_there(p: Tensor, value: Value) -> Any:
    seen: list[Tensor] = []
    p.register_post_accumulate_grad_hook(lambda leaf: seen.append(value(leaf.grad)))
    for _ in range(2):
        (p * 3).sum().backward()
    return seen


def taken_away(p: Tensor, value: Value) -> Any:
    p.register_hook(lambda g: g * 2).remove()
    (p * 3).sum().backward()
    return value(p.grad)


CASES = [
    on_leaf,
    in_the_middle,
    one_above_the_other,
    on_the_root,
    on_the_way_from_several_roots,
    retained,
    of_gradients,
    of_a_second_order,
    into_inputs,
    in_place,
    once_it_is_there,
    taken_away,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_hook_does_what_it_does_here(bob: Place, case: Callable[[Tensor, Value], Any]) -> None:
    x = torch.tensor([1.0, -2.0, 3.0])
    here = case(x.clone().requires_grad_(), lambda t: t.clone().detach())
    there = case(x.clone().requires_grad_().send(bob), lambda t: t.detach().copy().get())
    close(there, here)


def test_a_hook_costs_no_round_trip(bob: Place) -> None:
    p = torch.ones(3, requires_grad=True).send(bob)
    p.register_hook(lambda g: g * 2)
    (p * 3).sum().backward()
    assert bob.line._requests == 0


def test_a_hook_may_return_a_local_tensor_of_the_same_form(bob: Place) -> None:
    p = torch.ones(3, requires_grad=True).send(bob)
    p.register_hook(lambda g: torch.full((3,), 7.0))
    (p * 3).sum().backward()
    close(p.grad.get(), torch.full((3,), 7.0))
    p.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="changed the form"):
        (p * 3).sum().backward()


def test_a_tensor_without_a_gradient_takes_no_hook(bob: Place) -> None:
    p = torch.ones(3).send(bob)
    for register in (p.register_hook, p.register_post_accumulate_grad_hook):
        with pytest.raises(RuntimeError, match="doesn't require grad"):
            register(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (torch.ones(3, requires_grad=True).send(bob) * 2).register_post_accumulate_grad_hook(print)


def test_a_hooked_tensor_is_not_written_to(bob: Place) -> None:
    p = torch.ones(3, requires_grad=True).send(bob)
    q = p * 2
    view = q[0]
    q.register_hook(lambda g: g)
    for write in (lambda: q.mul_(2), lambda: view.mul_(2), q[1:].zero_):
        with pytest.raises(OperationRefused, match="hooked or retained"):
            write()


def test_a_parameters_hooks_go_where_it_goes(bob: Place, alice: Place) -> None:
    model = nn.Linear(1, 1, bias=False)
    handle = model.weight.register_hook(lambda g: g * 10)
    after: list[int] = []
    model.weight.register_post_accumulate_grad_hook(lambda p: after.append(1))

    def gradient() -> float:
        model.weight.grad = None
        (model.weight * 2).sum().backward()
        return float(model.weight.grad.detach().get().item())

    figures = [gradient()]
    for move in (lambda: model.send(bob), lambda: model.move(alice), model.get):
        move()
        figures.append(gradient())
    handle.remove()
    figures.append(gradient())
    model.weight.register_hook(lambda g: g * 7)
    figures.append(gradient())
    assert figures == [20.0, 20.0, 20.0, 20.0, 2.0, 14.0]
    assert len(after) == 6


def hooked(model: nn.Module, value: Value) -> tuple[list[Any], list[Any]]:
    seen: list[Any] = []
    layer = model[0]
    layer.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    layer.register_full_backward_pre_hook(lambda module, outputs: (outputs[0] * 3,))

    def backward(module: nn.Module, inputs: Any, outputs: Any) -> Any:
        seen.extend(None if each is None else value(each) for each in (*inputs, *outputs))
        return (inputs[0] / 2,)

    layer.register_full_backward_hook(backward)
    return seen, list(model.parameters())


def test_the_hooks_of_a_module_see_and_change_what_they_do_here(bob: Place) -> None:
    local, remote = mlp(), mlp().send(bob)
    x, there = X.clone().requires_grad_(), X.clone().requires_grad_().send(bob)
    ours, parameters = hooked(local, lambda t: t.clone().detach())
    theirs, pointers = hooked(remote, lambda t: t.detach().copy().get())
    local(x).pow(2).sum().backward()
    remote(there).pow(2).sum().backward()
    close(theirs, ours)
    for pointer, parameter in zip([*pointers, there], [*parameters, x], strict=True):
        close(pointer.grad.copy().get(), parameter.grad)


def test_hooks_leave_nothing_behind_on_the_worker(bob: Place) -> None:
    p = torch.ones(3, requires_grad=True).send(bob)
    p.register_hook(lambda g: g * 2)
    (p * 3).sum().backward()
    before = bob.stored
    for _ in range(3):
        q = p * 3
        q.register_hook(lambda g: g + 1)
        q.retain_grad()
        q.sum().backward()
        del q
    gc.collect()
    assert bob.stored == before


def test_what_cannot_be_hooked_says_what_can(bob: Place) -> None:
    p = torch.ones(3, requires_grad=True).send(bob) * 2
    with pytest.raises(OperationRefused, match="the tensor's own register_hook"):
        p.grad_fn.register_hook(print)
    with pytest.raises(OperationRefused, match=r"torch\.autograd\.grad"):
        torch.func.grad(lambda t: t.sum())(p.detach())
    with pytest.raises(OperationRefused, match="a leading dimension does for vmap"):
        torch.vmap(torch.sin)(p.detach())


@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_of_several_tensors_is_refused_in_words(bob: Place, mode: Any) -> None:
    tensors = [torch.ones(2).send(bob).requires_grad_() for _ in range(2)]
    with pytest.raises(OperationRefused):
        register_multi_grad_hook(tensors, lambda gradients: None, mode=mode)


def test_a_hook_after_the_gradient_has_nothing_to_give(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    p.register_post_accumulate_grad_hook(lambda leaf: leaf.grad * 2)
    with pytest.raises(RuntimeError, match="should return None"):
        p.sum().backward()
