"""A pointer's place in a gradient: requires_grad, is_leaf, grad_fn and grad."""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.pointers.graph import Node
from fedzmq.pointers.meeting import apart, check_local
from fedzmq.pointers.metadata import CONSTANT, INNER
from fedzmq.pointers.origins import origin, warn
from fedzmq.pointers.putting import put
from fedzmq.pointers.remote import Handler, Remote
from fedzmq.wire.messages import SetGrad

T = torch.Tensor


def requires_grad(p: Remote) -> bool:
    p._ref.catch_up()
    return p._ref.meta.kind != CONSTANT


def is_leaf(p: Remote) -> bool:
    p._ref.catch_up()
    return p._ref.meta.kind != INNER


def grad_fn(p: Remote) -> Node | None:
    p._ref.catch_up()
    return p._ref.node if p._ref.meta.kind == INNER else None


def require_grad(p: Remote, value: bool = True) -> Remote:
    reference = p._ref
    reference.catch_up()
    meta = reference.meta
    if value == (meta.kind != CONSTANT):
        return p
    if meta.kind == INNER:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if value and not (meta.dtype.is_floating_point or meta.dtype.is_complex):
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    reference.require_grad(value)
    return p


def set_requires_grad(p: Remote, value: bool) -> None:
    require_grad(p, value)


def grad(p: Remote) -> torch.Tensor | None:
    leaf = p._ref.leaf
    if leaf is not None:
        return leaf.grad
    if p._ref.meta.kind == INNER:
        warn(
            "the .grad of a tensor that was computed is asked for, and a backward gives one to leaves alone; "
            ".retain_grad() on the tensor, before the backward, keeps it"
        )
    return None


def set_grad(p: torch.Tensor, value: torch.Tensor | None) -> None:
    if not isinstance(p, Remote):
        raise apart("assigning a gradient", [p, *([] if value is None else [value])])
    reference = p._ref
    leaf = reference.leaf
    if value is None:
        if leaf is None or leaf.grad is None:
            return
        leaf.grad = None
        reference.stream.command(SetGrad(reference.id, 0), origin())
        return
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    if value is p:
        raise RuntimeError("can't assign Variable as its own grad")
    check_local("assigning a gradient", [value], False, reference.stream.strict)
    if not isinstance(value, Remote):
        value = type(p).around(put(reference.stream, value.detach()))
    if value._ref.stream is not reference.stream:
        raise apart("assigning a gradient", [p, value])
    ours, theirs = reference.meta, value._ref.meta
    if ours.shape != theirs.shape or ours.dtype is not theirs.dtype:
        raise RuntimeError(
            f"assigned grad has {tuple(theirs.shape)} {theirs.dtype}, and the tensor {tuple(ours.shape)} {ours.dtype}"
        )
    value._ref.kept = True
    reference.own_leaf().grad = value
    reference.stream.command(SetGrad(reference.id, value._ref.id), origin())


def delete_grad(p: Remote) -> None:
    set_grad(p, None)


def _property(name: str) -> Any:
    return getattr(T, name)


AUTOGRAD: dict[Any, Handler] = {
    _property("requires_grad").__get__: requires_grad,
    _property("requires_grad").__set__: set_requires_grad,
    _property("is_leaf").__get__: is_leaf,
    _property("grad_fn").__get__: grad_fn,
    _property("grad").__get__: grad,
    _property("grad").__set__: set_grad,
    _property("grad").__delete__: delete_grad,
    T.requires_grad_: require_grad,
}
