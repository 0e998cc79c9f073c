"""Gradients of pointers: computed on the worker, in one command; here only who gets one.

At `backward` the walk over the shadow graph gives the leaves that will hold a gradient, and the client names the new
ones itself, so that `p.grad` is there at once, and None where torch would leave None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from fedzmq.pointers.doorways import send_home
from fedzmq.pointers.graph import Derived, Doorway, Leaf, Node, reachable
from fedzmq.pointers.hooks import retained, run_after
from fedzmq.pointers.meeting import apart, check_local
from fedzmq.pointers.origins import origin
from fedzmq.pointers.passed import Passed, names_of
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Handler, Remote, gradient_of
from fedzmq.pointers.stream import Stream
from fedzmq.wire.messages import Backward, Gradients

NO_GRAD_FN = "element 0 of tensors does not require grad and does not have a grad_fn"
UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. "
    "Set allow_unused=True if this is the desired behavior."
)


def backward(
    p: torch.Tensor,
    gradient: torch.Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    backward_all([p], None if gradient is None else [gradient], retain_graph, create_graph, inputs=inputs)


def backward_all(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """`torch.autograd.backward`."""
    roots = _several(tensors)
    gradients = _several(grad_tensors) if grad_tensors is not None else [None] * len(roots)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is not None:
        if not isinstance(inputs, torch.Tensor) and not len(inputs):
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        _into(_several(inputs), roots, gradients, keep, create_graph)
        return
    if len(gradients) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(gradients)} gradients")
    gradients = _brought("backward", gradients, roots)
    _common_stream("backward", [*roots, *gradients])
    for index, (root, gradient) in enumerate(zip(roots, gradients, strict=True)):
        _check_root(index, root, gradient)
    _backward(roots, gradients, keep, create_graph)


def _backward(roots: list[Remote], gradients: list[Remote | None], keep: bool, create: bool) -> None:
    tops = [root._ref.node for root in roots]
    nodes = reachable(tops)
    is_watched = any(node.watched is not None for node in nodes)
    passed = Passed()
    if is_watched:
        passed.through(roots, gradients, nodes, create)
        nodes = reachable(tops, passed.ended)
    leaves = [node for node in nodes if isinstance(node, Leaf)]
    if is_watched:
        leaves += retained(list(nodes))
    fresh = []
    for leaf in leaves:
        if leaf.grad is None or create:
            # With a graph of its own a sum of gradients is a new tensor, and the old one stays what it was.
            reference = Reference(leaf.stream, leaf.stream.new_id(), leaf.meta)
            reference.kept = True
            before, leaf.grad = gradient_of(leaf), type(roots[0]).around(reference)
            fresh.append((leaf, before))
    roots[0]._ref.stream.command(
        Backward(
            tuple([root._ref.id for root in roots]),
            names_of(gradients),
            keep,
            create,
            tuple([leaf.id for leaf in leaves]),
            tuple([leaf.grad._ref.id for leaf in leaves if isinstance(leaf.grad, Remote)]),
            passed.on_wire,
        ),
        origin(),
    )
    if fresh and (create or _is_derived(nodes)):
        history = _history([*roots, *gradients, *[before for _, before in fresh]], passed)
        made = [leaf.grad for leaf, _ in fresh]
        for (leaf, _), settled in zip(fresh, _settled(made, history if create else ()), strict=True):
            leaf.grad = settled
    run_after([leaf for leaf in leaves if leaf.grad is not None])
    doorways = [leaf for leaf in leaves if isinstance(leaf, Doorway)]
    if doorways:
        send_home(doorways, keep)


def _is_derived(nodes: Iterable[Node]) -> bool:
    """A gradient with a graph of its own is among them: then only the worker knows what another gradient reaches."""
    return any(type(node) is Derived for node in nodes)


def _history(tensors: Iterable[Remote | None], passed: Passed) -> tuple[Node, ...]:
    """What a gradient may depend on that is computed from these."""
    made = [each._ref.node for each in tensors if each is not None and each._ref.node is not None]
    return (*made, *passed.nodes)


def _settled(made: Sequence[Any], history: tuple[Node, ...]) -> list[Any]:
    """Ask the worker which of these gradients are None there, how they lie, and which have a graph of their own."""
    found = made[0]._ref.stream.describe([each._ref.id for each in made])
    settled: list[Any] = []
    for each, told in zip(made, found, strict=True):
        if told.dtype and len(told.stride) == each.dim():  # a recording does not know
            each._ref.meta = each._ref.meta.lying(tuple(told.stride))
        if told.requires_grad:
            each._ref.become_inner(Derived(history))
        settled.append(each if told.dtype else None)
    return settled


def gradients(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[torch.Tensor | None, ...]:
    """`torch.autograd.grad`."""
    if is_grads_batched:
        again = (create_graph, only_inputs, allow_unused, False, materialize_grads)
        return _one_by_one(_several(outputs), inputs, _several(grad_outputs), retain_graph, again)
    roots, wanted = _several(outputs), _several(inputs)
    given = _several(grad_outputs) if grad_outputs is not None else []
    given = _brought("torch.autograd.grad", given, roots)
    stream = _common_stream("torch.autograd.grad", [*roots, *wanted, *given])
    for index, root in enumerate(roots):
        _check_root(index, root, given[index] if given else None)
    keep = create_graph if retain_graph is None else retain_graph
    unused = materialize_grads or bool(allow_unused)
    tops = [root._ref.node for root in roots]
    feeding = reachable(tops)
    ends = [each._ref.node for each in wanted if each._ref.node is not None]
    passed = Passed().through(roots, given or [None] * len(roots), feeding, create_graph, ends)
    feeding = reachable(tops, passed.ended) if passed.ended else feeding
    results: list[torch.Tensor | None] = []
    for each in wanted:
        if each._ref.node is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        if each._ref.node not in feeding:
            if not unused:
                raise RuntimeError(UNUSED)
            results.append(None)
            continue
        results.append(type(each).around(Reference(stream, stream.new_id(), each._ref.meta.of_gradient())))
    derived = _is_derived(feeding)
    stream.command(
        Gradients(
            tuple([root._ref.id for root in roots]),
            tuple([each._ref.id for each in wanted]),
            names_of(given),
            tuple([result._ref.id if isinstance(result, Remote) else 0 for result in results]),
            bool(keep),
            bool(create_graph),
            unused or (derived and not stream.is_recording),
            passed.on_wire,
        ),
        origin(),
    )
    made = [each for each in results if each is not None]
    if made and (create_graph or derived):
        settled = iter(_settled(made, _history([*roots, *given], passed) if create_graph else ()))
        results = [None if each is None else next(settled) for each in results]
        if not unused and any(each is None for each in results):
            raise RuntimeError(UNUSED)
    if materialize_grads:
        pairs = zip(results, wanted, strict=True)
        return tuple([torch.zeros_like(each) if result is None else result for result, each in pairs])
    return tuple(results)


def _one_by_one(
    outputs: list[Any], inputs: Any, grad_outputs: list[Any], retain_graph: bool | None, again: tuple[Any, ...]
) -> tuple[torch.Tensor | None, ...]:
    """`is_grads_batched`: the gradients of each row of `grad_outputs`, stacked."""
    rows = list(zip(*[each.unbind(0) for each in grad_outputs], strict=True))
    keep = again[0] if retain_graph is None else retain_graph
    found = [gradients(outputs, inputs, row, keep or row is not rows[-1], *again) for row in rows]
    return tuple([None if each[0] is None else torch.stack(each) for each in zip(*found, strict=True)])


def _brought(operation: str, given: list[Any], roots: list[Any]) -> list[Any]:
    """The gradients with those that are here shipped to their roots."""
    brought: list[Any] = []
    for root, gradient in zip(roots, given, strict=False):
        if isinstance(root, Remote) and isinstance(gradient, torch.Tensor) and not isinstance(gradient, Remote):
            check_local(operation, [gradient], torch.is_grad_enabled(), root._ref.stream.strict)
            gradient = type(root).around(put(root._ref.stream, gradient))
        brought.append(gradient)
    return brought


def _into(inputs: list[Any], roots: list[Any], given: list[Any], keep: bool | None, create: bool) -> None:
    """`backward(inputs=...)`: gradients of these alone, added to what they hold."""
    found = gradients(roots, inputs, None if all(g is None for g in given) else given, keep, create, allow_unused=True)
    with torch.set_grad_enabled(create):
        for each, new in zip(inputs, found, strict=True):
            if new is not None:
                each.grad = new if each.grad is None else each.grad + new


def _check_root(index: int, root: torch.Tensor, gradient: torch.Tensor | None) -> None:
    if not isinstance(root, Remote):
        raise apart("backward", [root])
    root._ref.check_unspent()
    root._ref.catch_up()
    if root._ref.node is None:
        raise RuntimeError(NO_GRAD_FN)
    if gradient is None and root._ref.meta.shape.numel() != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if gradient is not None and gradient.shape != root._ref.meta.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of {gradient.shape} and output[{index}] has a shape "
            f"of {root._ref.meta.shape}."
        )


def _several(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def _common_stream(operation: str, tensors: Iterable[Any]) -> Stream:
    present: Sequence[torch.Tensor] = [tensor for tensor in tensors if tensor is not None]
    streams = {tensor._ref.stream if isinstance(tensor, Remote) else None for tensor in present}
    stream = streams.pop()
    if streams or stream is None:
        raise apart(operation, present)
    return stream


BACKWARD: dict[Any, Handler] = {
    torch.Tensor.backward: backward,
    torch.autograd.backward: backward_all,
    torch.autograd.grad: gradients,
}
