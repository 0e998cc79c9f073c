"""Autograd on a worker: what requires a gradient, what runs backward, and where the gradients go."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Id, Ref
from fedzmq.wire.messages.message import Command, Request


@dataclass(frozen=True, slots=True)
class RequireGrad(Command):
    """`tensor.requires_grad_(value)`."""

    id: Id
    value: bool


@dataclass(frozen=True, slots=True)
class SetGrad(Command):
    """`tensor.grad = grad`."""

    id: Id
    grad: Ref


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a hook of the client's made of the gradient of a tensor: it goes on in that one's place."""

    tensor: Id
    gradient: Id


@dataclass(frozen=True, slots=True)
class Backward(Command):
    """Run `torch.autograd.backward(roots, gradients)` and bind the `.grad` of `leaves[i]` to the id `grads[i]`.

    `gradients` is empty, or as long as `roots` with 0 for None. One of the `leaves` that is none, but in the middle of
    the graph, has its gradient added to what that id holds.
    """

    roots: tuple[Id, ...]
    gradients: tuple[Ref, ...]
    retain_graph: bool
    create_graph: bool
    leaves: tuple[Id, ...]
    grads: tuple[Id, ...]
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True, slots=True)
class Gradients(Command):
    """Run `torch.autograd.grad` and bind its outcome to `results`, where 0 is not kept.

    `grad_outputs` is empty, or as long as `outputs` with 0 for None.
    """

    outputs: tuple[Id, ...]
    inputs: tuple[Id, ...]
    grad_outputs: tuple[Ref, ...]
    results: tuple[Ref, ...]
    retain_graph: bool
    create_graph: bool
    allow_unused: bool
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True, slots=True)
class Describe(Request):
    """Ask what stored gradients are like, answered by Described or Failed: one that is None has no dtype there."""

    ids: tuple[Id, ...]
