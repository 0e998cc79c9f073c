"""The gradients that hooks have passed, before the backward that goes on with what the hooks made of them.

The gradients of hooked tensors are taken on their worker, those nearer to the root first; the hooks see them as
pointers; and the backward itself is told what to put in their place. Nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.pointers.apply import create
from fedzmq.pointers.graph import Derived, Gate, Hooks, Leaf, Node, reachable
from fedzmq.pointers.hooks import Hook
from fedzmq.pointers.meeting import apart
from fedzmq.pointers.metadata import CONSTANT, INNER
from fedzmq.pointers.origins import origin
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.wire.messages import Gradients, Replaced


@dataclass(frozen=True, slots=True, eq=False)
class _Station:
    """Tensors whose gradients pass the same hooks together. `beyond` are the nodes that they go on to.

    With `into` what the hooks give are the gradients of those, and the tensors keep theirs.
    """

    nodes: tuple[Node, ...]
    passed: Callable[[list[Any]], Sequence[Any]]
    beyond: dict[Node, None]
    into: tuple[Node, ...] = ()


class Passed:
    """The gradients that hooks have passed, and what became of them. They are held here until a backward names them.

    `ended` are tensors that a function of the program's own gave None for: no gradient goes on from there.
    """

    def __init__(self) -> None:
        self._of: dict[Node, Remote] = {}
        self.ended: set[Node] = set()

    @property
    def on_wire(self) -> tuple[Replaced, ...]:
        return tuple([Replaced(_tensor(node).id, gradient._ref.id) for node, gradient in self._of.items()])

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What made those of them that have a graph of their own."""
        return tuple([gradient._ref.node for gradient in self._of.values() if gradient._ref.node is not None])

    def through(
        self,
        roots: Sequence[Remote],
        gradients: Sequence[Remote | None],
        nodes: dict[Node, None],
        create_graph: bool,
        ends: Sequence[Node] = (),
    ) -> Passed:
        """Run the hooks of these nodes, which feed the roots. With `ends`, of those alone on the way there."""
        rest = list(_stations(nodes, ends))
        while rest:
            now = [each for each in rest if not any(_is_below(each, other) for other in rest if other is not each)]
            now = now or rest[:1]
            rest = [each for each in rest if each not in now]
            wanted = list(dict.fromkeys([node for each in now for node in each.nodes if node in nodes]))
            found = dict(zip(wanted, self._taken(roots, gradients, wanted, create_graph), strict=True))
            for station in now:
                self._pass(station, found, type(roots[0]), create_graph)
        return self

    def _pass(self, station: _Station, found: dict[Node, Remote], cls: type[Remote], create_graph: bool) -> None:
        known = {**found, **self._of}
        if station.into:
            with torch.set_grad_enabled(create_graph):
                results = station.passed([known.get(node) for node in station.nodes])
            for node, gradient in zip(station.into, results, strict=True):
                if gradient is None:
                    self.ended.add(node)
                else:
                    self._of[node] = gradient
            return
        given = [known[node] if node in known else _zeros(cls, node) for node in station.nodes]
        with torch.set_grad_enabled(create_graph):
            results = station.passed(given)
        for node, gradient, result in zip(station.nodes, given, results, strict=True):
            if node in found:
                self._of[node] = gradient if result is None else _checked(gradient, result)

    def _taken(
        self, roots: Sequence[Remote], gradients: Sequence[Remote | None], wanted: Sequence[Node], create_graph: bool
    ) -> list[Remote]:
        """The gradients of these, with what hooks above them have done; the graph stays."""
        stream, cls = roots[0]._ref.stream, type(roots[0])
        history = Derived(tuple([root._ref.node for root in roots if root._ref.node is not None]))
        made: list[Remote] = []
        for node in wanted:
            of = _tensor(node).meta.of_gradient(INNER if create_graph else CONSTANT)
            made.append(cls.around(Reference(stream, stream.new_id(), of, history if create_graph else None)))
        stream.command(
            Gradients(
                tuple([root._ref.id for root in roots]),
                tuple([_tensor(node).id for node in wanted]),
                names_of(gradients),
                tuple([each._ref.id for each in made]),
                True,
                create_graph,
                True,
                self.on_wire,
            ),
            origin(),
        )
        return made


def _stations(nodes: dict[Node, None], ends: Sequence[Node]) -> Iterator[_Station]:
    """Those of single tensors come first: a tensor's own hooks see a gradient before those of a module do."""
    asked = [node for node in nodes if node.watched is not None]
    if not asked:
        return
    wanted = set(ends)
    gates: dict[Gate, None] = {}
    for node in asked:
        beyond = reachable(node.parents)
        if ends and node not in wanted and wanted.isdisjoint(beyond):
            continue
        assert node.watched is not None
        if node.watched.hooks:
            yield _Station((node,), _one_by_one(node.watched.hooks), beyond)
        if node.watched.gate is not None:
            gates[node.watched.gate] = None
    for gate in gates:
        beyond = reachable([parent for node in gate.nodes for parent in node.parents])
        passed = gate.hooks[0] if gate.into else _in_turn(gate.hooks)
        yield _Station(gate.nodes, passed, beyond, gate.into)


def _is_below(station: _Station, other: _Station) -> bool:
    return any(node in other.beyond for node in station.nodes)


def _one_by_one(hooks: Hooks) -> Callable[[list[Remote]], Sequence[Any]]:
    def passed(given: list[Remote]) -> Sequence[Any]:
        (gradient,) = given
        for hook in list(hooks.values()):
            result = hook(gradient)
            gradient = gradient if result is None else _checked(gradient, result)
        return [gradient]

    return passed


def _in_turn(hooks: list[Hook]) -> Callable[[list[Remote]], Sequence[Any]]:
    def passed(given: list[Remote]) -> Sequence[Any]:
        current: Sequence[Any] = given
        for hook in hooks:
            results = hook(tuple(current), tuple(given))
            if results is not None:
                pairs = zip(given, current, results, strict=True)
                current = [old if new is None else _checked(gradient, new) for gradient, old, new in pairs]
        return current

    return passed


def _checked(gradient: Remote, result: Any) -> Remote:
    """What a hook returned, as a pointer beside the gradient. Raises what torch raises where it is not like it."""
    if not isinstance(result, torch.Tensor):
        raise TypeError(f"hook expected to return a tensor or None, got {type(result).__name__}")
    if not isinstance(result, Remote):
        return _checked(gradient, type(gradient).around(put(gradient._ref.stream, result.detach())))
    if result._ref.stream is not gradient._ref.stream:
        raise apart("a hook's result", [gradient, result])
    ours, theirs = gradient._ref.meta, result._ref.meta
    if ours.shape != theirs.shape or ours.dtype is not theirs.dtype:
        forms = f"{tuple(theirs.shape)} {theirs.dtype}, and the gradient is {tuple(ours.shape)} {ours.dtype}"
        raise RuntimeError(f"a hook has changed the form of a gradient: it returned {forms}")
    return result


def _tensor(node: Node) -> Leaf:
    if isinstance(node, Leaf):
        return node
    assert node.watched is not None
    assert node.watched.inner is not None
    return node.watched.inner


def _zeros(cls: type[Remote], node: Node) -> Remote:
    leaf = _tensor(node)
    made: Remote = create(leaf.stream, cls, torch.zeros, (tuple(leaf.meta.shape),), {"dtype": leaf.meta.dtype})
    return made


def names_of(gradients: Sequence[Remote | None]) -> tuple[int, ...]:
    """Of the roots of a backward, as a command has them: none where each root's is the one that torch makes."""
    if all(each is None for each in gradients):
        return ()
    return tuple([0 if each is None else each._ref.id for each in gradients])
