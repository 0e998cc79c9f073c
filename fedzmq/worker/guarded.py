"""What a client's commands make of private tensors is private: how that is found out, command by command.

Only the stores that hold something private come here; all others pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor

from fedzmq.operations.catalog import Catalog
from fedzmq.wire.messages import Backward, Failure, Gradients
from fedzmq.worker.privacy import Users
from fedzmq.worker.record import operands, written
from fedzmq.worker.store import Store

_OPAQUE = frozenset({"CopySlices"})  # nodes that keep another one, which nobody can look into
_WITHHELD = "what it said is withheld, because an operand is private"


@contextmanager
def guarded_record(
    store: Store, record: list[Any], results: Iterable[int], catalog: Catalog | None = None
) -> Iterator[None]:
    """Around one operation of the catalog, or around a function that is on no list.

    One that fails halfway has kept the results before that which passed the quota.
    """
    used = [store.tensors.get(id) for id in operands(record)]
    try:
        with _guarded(store, used):
            yield
    finally:
        users = store.privacy.common(used)
        if users is not None:
            _restrict(store, [*results, *(written(record, catalog) if catalog is not None else ())], users)


@contextmanager
def guarded_data(store: Store, tensor: Tensor, source: Tensor) -> Iterator[None]:
    """Around giving a tensor other data. A graph that led to it has kept what it was made of, for a backward."""
    users = store.privacy.common([source] if tensor.is_leaf else [source, tensor])
    before = store.privacy.users(tensor)
    yield
    if users is not None:
        store.privacy.overwrite(tensor, before, users)


@contextmanager
def guarded_gradients(store: Store, command: Backward | Gradients) -> Iterator[None]:
    """Around a backward: whatever one tensor of the graph forbids, all gradients of it do.

    One that fails halfway has added to the gradients of some leaves, and whatever adds to those later.
    """
    if isinstance(command, Backward):
        roots, given, results = list(command.roots), list(command.gradients), command.grads
    else:
        roots, given, results = list(command.outputs), list(command.grad_outputs), command.results
    given += [each.gradient for each in command.replaced]
    tops = [store.tensors.get(id) for id in roots]
    nodes = list(_graph(tops))
    # Where gradients gather: a root may be such a place itself.
    leaves = [top for top in tops if top is not None and top.is_leaf]
    leaves += [leaf for node in nodes if isinstance(leaf := getattr(node, "variable", None), Tensor)]
    saved = [each for node in nodes for each in _saved(node)]
    used = [store.tensors.get(id) for id in (*roots, *given, *results)]  # what results hold may be added to
    users = store.privacy.common([*used, *saved, *leaves, *(leaf.grad for leaf in leaves)])
    hidden = store.privacy.overwritten
    if hidden is not None and any(type(node).__name__ in _OPAQUE for node in nodes):
        users = hidden if users is None else users & hidden
    try:
        yield
    finally:
        if users is not None:
            _restrict(store, results, users)
            for leaf in leaves:
                if leaf.grad is not None:
                    store.privacy.restrict(leaf.grad, users)


@contextmanager
def guarded_plan(store: Store, given: Sequence[int], touched: Sequence[int], results: Sequence[int]) -> Iterator[None]:
    """Around the run of a plan on these tensors; `touched` are those that its records write to by their names."""
    used = [store.tensors.get(id) for id in given]
    named = [store.tensors.get(id) for id in touched]
    users = store.privacy.common(used)
    try:
        with _guarded(store, used):
            yield
    finally:
        if users is not None:
            for each in named:
                if each is not None:
                    store.privacy.restrict(each, users)
            _restrict(store, results, users)


def withheld(store: Store, failure: Failure, used: Iterable[Tensor | None]) -> Failure:
    """A failure without what torch said, which may hold values, where an operand may not be read by this client."""
    return replace(failure, message=_WITHHELD, traceback="") if store.privacy.hides(used, store.client) else failure


@contextmanager
def _guarded(store: Store, used: Sequence[Tensor | None]) -> Iterator[None]:
    """What is written to among the used is private as they all are."""
    users = store.privacy.common(used)
    versions = [0 if each is None else each._version for each in used]
    try:
        yield
    finally:
        if users is not None:
            for each, version in zip(used, versions, strict=True):
                if each is not None and each._version != version:
                    store.privacy.overwrite(each, store.privacy.users(each), users)


def _restrict(store: Store, ids: Iterable[int], users: Users) -> None:
    for id in ids:
        tensor = store.tensors.get(id)
        if tensor is not None:
            store.privacy.restrict(tensor, users)


def _graph(roots: Iterable[Tensor | None]) -> Iterator[Any]:
    """The nodes that led to these."""
    stack: list[Any] = [root.grad_fn for root in roots if root is not None]
    seen: set[Any] = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(parent for parent, _ in node.next_functions)


def _saved(node: Any) -> Iterator[Tensor]:
    """What it keeps for a backward. What was written there since, past torch's count of writes, is in gradients too."""
    for name in vars(type(node)):
        if name.startswith("_saved_"):
            try:
                found = getattr(node, name)
            except RuntimeError:  # freed, or counted as written to: then the backward raises, too
                continue
            for each in found if isinstance(found, (list, tuple)) else (found,):
                if isinstance(each, Tensor):
                    yield each
