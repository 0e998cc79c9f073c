"""Gradients that a function takes itself, and hooks on them: operations of the plan like any others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch.utils.hooks import RemovableHandle

from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.metadata import LEAF
from fedzmq.pointers.modes import INITIAL
from fedzmq.pointers.origins import Origin
from fedzmq.pointers.outbox import Record
from fedzmq.pointers.remote import Remote
from fedzmq.recording.journal import Journal
from fedzmq.recording.own_backward import OwnBackwards
from fedzmq.recording.refusal import refused
from fedzmq.wire.messages import Backward, Gradients

TAKE = "take the gradient with torch.autograd.grad(loss, x), which adds to nothing"


class Differentiation:
    """Of one recording. What requires grad up to `last_input` is trained; `differentiable` gradients have a graph."""

    def __init__(self, journal: Journal, backwards: OwnBackwards) -> None:
        self.last_input = 0
        self.differentiable: set[int] = set()
        self._journal = journal
        self._backwards = backwards
        self._hooked: dict[int, int] = {}  # and the leaf that each was, whose gradient has passed the hook; or 0
        self._gradients: set[int] = set()  # that leaves hold

    def take(self, command: Gradients, origin: Origin | None) -> None:
        inputs = [self._hooked.get(id, id) for id in command.inputs]
        if 0 in inputs:
            raise refused("the gradient of a tensor that has a hook", origin, "take it before the hook is registered")
        wanted = [(id, result) for id, result in zip(inputs, command.results, strict=True) if result]
        if not wanted:
            return
        arguments = [
            [{"p": id} for id in command.outputs],
            [{"p": id} for id, _ in wanted],
            [{"p": id} if id else None for id in command.grad_outputs] or None,
        ]
        options = {
            "retain_graph": command.retain_graph,
            "create_graph": command.create_graph,
            "materialize_grads": command.allow_unused,
        }
        results = [result for _, result in wanted]
        self._journal.note((CATALOG.number(torch.autograd.grad), results, 0, arguments, options), INITIAL, origin)
        if command.create_graph:
            self.differentiable.update(results)

    def backward(self, command: Backward, origin: Origin | None) -> None:
        """Of leaves that are the function's own, and hold nothing to add to, it is the gradient by them."""
        if not self._is_its_own(command.leaves, command.grads):
            raise refused("backward(), which adds to what tensors hold,", origin, TAKE)
        graphs = (command.retain_graph, command.create_graph)
        self.take(Gradients(command.roots, command.leaves, command.gradients, command.grads, *graphs, False), origin)

    def hook(self, pointer: Remote, hook: Callable[..., Any]) -> RemovableHandle | None:
        pointer._ref.catch_up()
        if pointer._ref.node is None:
            return None
        if pointer._ref.id in self._hooked:
            if not self._backwards.hooked_again(pointer, hook):
                raise refused("a second hook on one gradient", None, "register it right after the first one")
            return _Lasting(OrderedDict())
        if any(_reads(record, pointer._ref.id) for record in self._journal.records):
            raise refused(
                "a hook on the gradient of what was used before", None, "register it where the tensor is made"
            )
        leaf = pointer._ref.id if pointer._ref.meta.kind == LEAF else 0
        self._backwards.hooked(pointer, hook)
        self._hooked[pointer._ref.id] = leaf
        return _Lasting(OrderedDict())

    def _is_its_own(self, leaves: Sequence[int], grads: Sequence[int]) -> bool:
        """None of the leaves is trained or held a gradient before, so that nothing is added up."""
        is_new = self._gradients.isdisjoint(grads)
        self._gradients.update(grads)
        return is_new and all(self._hooked.get(id, id) > self.last_input for id in leaves)


def _reads(record: Record, id: int) -> bool:
    _, _, mask, arguments, *keywords = record
    return any(each == id for place, each in enumerate(arguments) if mask >> place & 1) or _names(
        [[each for place, each in enumerate(arguments) if not mask >> place & 1], *keywords], id
    )


def _names(value: Any, id: int) -> bool:
    if isinstance(value, list | tuple):
        return any(_names(each, id) for each in value)
    if isinstance(value, dict):
        return value.get("p") == id or any(_names(each, id) for each in value.values())
    return False


class _Lasting(RemovableHandle):
    """Of a hook that is a part of the plan."""

    def remove(self) -> NoReturn:
        raise refused("a hook on a gradient that is removed again")
