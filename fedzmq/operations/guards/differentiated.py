"""A gradient costs as much as the graph that it is taken of, and one with a graph of its own is larger: it is counted.

Each derivative of a derivative may multiply the graph, so that a short list of operations could go on for ever. What a
plan takes of gradients in one run is counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from fedzmq.errors import LimitExceeded, OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, leaves

MOST_NODES = 1 << 18  # seconds, on any machine
_KEYWORDS = frozenset({"retain_graph", "create_graph", "materialize_grads"})


def graph(name: str, function: Callable[..., Any]) -> Guard:
    """For `(outputs, inputs, grad_outputs, retain_graph=, create_graph=, materialize_grads=)`."""
    budget = Budget(name)

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        budget.begin()
        budget.guard(limit, arguments, keywords)

    return guard


class Budget:
    """What all gradients from `begin` on go through together."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spent = 0

    def begin(self) -> None:
        self._spent = 0

    def guard(self, limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if len(arguments) != 3 or not keywords.keys() <= _KEYWORDS:
            raise OperationRefused(self._name, f"it takes outputs, inputs and their gradients, and {sorted(_KEYWORDS)}")
        self._spent += sum(1 for _ in _nodes(arguments[0], MOST_NODES - self._spent))
        if self._spent > MOST_NODES:
            raise LimitExceeded("the operations that gradients go through", self._spent, MOST_NODES)


def _nodes(outputs: Any, most: int) -> Iterator[Node]:
    """Those that feed the outputs, one more than `most` at most."""
    seen: set[Node] = set()
    rest = [each.grad_fn for each in leaves(outputs) if isinstance(each, Tensor)]
    while rest:
        node = rest.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if len(seen) > most:
            return
        rest += [parent for parent, _ in node.next_functions]
