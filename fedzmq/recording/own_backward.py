"""An autograd function of the program's own, recorded: its forward as steps like any others, its backward as one of the
plan's, which is recorded at once. A hook on a gradient is the backward of a step that changes nothing.

What a backward does may depend on nothing but gradients and what was saved, so it is the same whenever it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.listed.differentiation import linked
from fedzmq.plans.plan import BackwardBody
from fedzmq.pointers.call import OwnCall
from fedzmq.pointers.graph import Node
from fedzmq.pointers.metadata import CONSTANT
from fedzmq.pointers.modes import INITIAL
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.recording.journal import Journal


class OwnBackwards:
    """Those of one recording: `found`, in the order of their places."""

    def __init__(self, journal: Journal) -> None:
        self.found: list[BackwardBody] = []
        self._journal = journal
        self._hooks: dict[int, int] = {}  # the places of hooks, by the tensors that have them
        self._current: dict[int, dict[int, Any]] = {}  # outputs of those calls whose backward is being recorded

    def linked(self, call: OwnCall) -> dict[int, Any]:
        """The outputs of a call that take a gradient, by their places."""
        known = self._current.get(id(call))
        if known is not None:
            return known
        made, wanted = call.linked_tensors(), call.wanted_tensors()
        nodes = tuple([each._ref.node for each in wanted if each._ref.node is not None])
        outputs: dict[int, Any] = {place: self._pointer(each, nodes) for place, each in made.items()}
        gradients = [self._pointer(each, ()) for each in made.values()]
        arguments = [[{"p": each._ref.id} for each in tensors] for tensors in (made.values(), wanted)]
        results = [each._ref.id for each in (*outputs.values(), *gradients)]
        place = self._journal.note((CATALOG.number(linked), results, 0, arguments), INITIAL, origin())
        self._current[id(call)] = outputs
        self._record(place, lambda: call.passed(gradients))
        del self._current[id(call)]
        return outputs

    def hooked(self, pointer: Remote, hook: Callable[..., Any]) -> None:
        """From here on the tensor is one whose gradient passes the hook: the same, where nothing read it yet."""
        reference = pointer._ref
        gradient, output = self._pointer(pointer, ()), self._journal.new_id()
        itself = [{"p": reference.id}]
        record = (CATALOG.number(linked), [output, gradient._ref.id], 0, [itself, itself])
        place = self._journal.note(record, INITIAL, origin())
        self._record(place, lambda: [self._there(hook(gradient), gradient)])
        self._hooks[output] = place
        self._journal.shares(output, reference.id)
        node = reference.node
        reference.id = output
        reference.become_inner(Node(() if node is None else (node,)))

    def hooked_again(self, pointer: Remote, hook: Callable[..., Any]) -> bool:
        """Have what the first hook made of the gradient pass this one; not if anything was recorded since."""
        place = self._hooks[pointer._ref.id]
        (first,) = [each for each in self.found if each.place == place]
        if place + 1 + first.count != len(self._journal.records):
            return False
        self.found.remove(first)
        reference = Reference(self._journal, first.results[0], pointer._ref.meta.of_kind(CONSTANT))
        gradient = Pointer.around(reference)
        self._record(place, lambda: [self._there(hook(gradient), gradient)])
        return True

    def _there(self, returned: Any, gradient: Pointer) -> Any:
        if returned is None:
            return gradient
        return returned if isinstance(returned, Remote) else Pointer.around(put(self._journal, returned))

    def _record(self, place: int, backward: Callable[[], list[Any]]) -> None:
        """What makes the gradients of the inputs, after the record at `place`."""
        device = self._journal.effects.device.type
        with torch.enable_grad(), torch.autocast("cpu" if device == "meta" else device, enabled=False):
            found = backward()
        results = tuple([0 if each is None else each._ref.id for each in found])
        self.found.append(BackwardBody(place, len(self._journal.records) - place - 1, results))
        self.found.sort(key=lambda each: each.place)

    def _pointer(self, like: Any, nodes: tuple[Node, ...]) -> Pointer:
        reference = Reference(self._journal, self._journal.new_id(), like._ref.meta.of_kind(CONSTANT))
        if nodes:
            reference.become_inner(Node(nodes))
            self._journal.shares(reference.id, like._ref.id)
        return Pointer.around(reference)
