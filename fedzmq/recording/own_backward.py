"""An autograd function of the program's own, recorded: its forward as steps like any others, its backward as one of the
plan's, which is recorded at once.

What a backward does may depend on nothing but gradients and what was saved, so it is the same whenever it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.listed.differentiation import linked
from fedzmq.plans.plan import Backward
from fedzmq.pointers.graph import Node
from fedzmq.pointers.metadata import CONSTANT
from fedzmq.pointers.modes import INITIAL
from fedzmq.pointers.origins import origin
from fedzmq.pointers.own_functions import OwnCall
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.reference import Reference

if TYPE_CHECKING:
    from fedzmq.recording.tape import Tape


class OwnBackwards:
    """Those of one recording: `found`, in the order of their places."""

    def __init__(self, tape: Tape) -> None:
        self.found: list[Backward] = []
        self._tape = tape
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
        place = self._tape.note((CATALOG.number(linked), results, 0, arguments), INITIAL, origin())
        self._current[id(call)] = outputs
        found = self._recorded(call, gradients)
        del self._current[id(call)]
        results = [0 if each is None else each._ref.id for each in found]
        self.found.append(Backward(place, len(self._tape.records) - place - 1, tuple(results)))
        self.found.sort(key=lambda each: each.place)
        return outputs

    def _recorded(self, call: OwnCall, gradients: list[Any]) -> list[Any]:
        device = self._tape.effects.device.type
        with torch.enable_grad(), torch.autocast("cpu" if device == "meta" else device, enabled=False):
            return call.passed(gradients)

    def _pointer(self, like: Any, nodes: tuple[Node, ...]) -> Pointer:
        reference = Reference(self._tape, self._tape.new_id(), like._ref.meta.of_kind(CONSTANT))
        if nodes:
            reference.become_inner(Node(nodes))
            self._tape.shares(reference.id, like._ref.id)
        return Pointer.around(reference)
