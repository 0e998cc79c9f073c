"""Gradients that cross from one place to another: a backward on a worker goes on where the tensor had come from.

A tensor that was sent with `requires_grad=True` is a doorway there. Towards here it is an autograd function of torch:
its backward runs the pointer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fedzmq.pointers.graph import Doorway
from fedzmq.pointers.metadata import CONSTANT
from fedzmq.pointers.origins import origin
from fedzmq.pointers.putting import put
from fedzmq.pointers.remote import Remote, gradient_of
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.transfer import hand_over
from fedzmq.wire.messages import SetGrad


def send_home(doorways: Sequence[Doorway], keep: bool | None) -> None:
    """Take the gradients of these, which a backward has just left, to where their tensors came from, and go on there.

    One round trip for each worker, and none where home is a worker too.
    """
    arrived: list[tuple[torch.Tensor, torch.Tensor]] = []
    for stream in dict.fromkeys(door.stream for door in doorways):
        arrived += _arrived([door for door in doorways if door.stream is stream], stream)
    for door in doorways:
        door.grad = None
        door.stream.command(SetGrad(door.id, 0), origin())
    local = [pair for pair in arrived if not isinstance(pair[0], Remote)]
    if local:
        homes, gradients = zip(*local, strict=True)
        torch.autograd.backward(homes, gradients, retain_graph=keep)
    for home, gradient in arrived:
        if isinstance(home, Remote):
            home.backward(gradient, retain_graph=keep)  # type: ignore[no-untyped-call]


def _arrived(doorways: Sequence[Doorway], stream: Stream) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each home, and the gradient where home is."""
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    local: list[tuple[torch.Tensor, Remote]] = []
    for door in doorways:
        gradient, home = gradient_of(door), door.home
        if gradient is None:
            continue
        if not isinstance(home, Remote):
            local.append((home, gradient))
            continue
        place: Any = home._ref.stream.location
        (moved,) = hand_over([gradient._ref], place, [CONSTANT])
        pairs.append((home, type(home).around(moved)))
    values = stream.fetch([gradient._ref.id for _, gradient in local]) if local else []
    return pairs + [(home, value) for (home, _), value in zip(local, values, strict=True)]


class _Arrival(torch.autograd.Function):
    """The value of a pointer, in a graph of this process. The anchor is what makes torch ask for a gradient."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, value: torch.Tensor, pointer: Remote) -> torch.Tensor:
        ctx.pointer = pointer
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        pointer: Remote = ctx.pointer
        reference = pointer._ref
        there = type(pointer).around(put(reference.stream, gradients[0]))
        # Another value of the same graph may come back later; the graph goes with its pointers.
        with torch.enable_grad():
            pointer.backward(there, retain_graph=True)  # type: ignore[no-untyped-call]
        return None, None, None


def arrived(pointer: Remote, value: torch.Tensor) -> torch.Tensor:
    """`value` as a tensor of this process whose gradient goes to the worker that it came from."""
    result: torch.Tensor = _Arrival.apply(torch.empty(0, requires_grad=True), value, pointer)  # type: ignore[no-untyped-call]
    return result
