"""Functions of the user's that gradients pass: they run here, on pointers, and what they return goes on over there.

No code travels: `fedzmq.pointers.passed` takes the gradients that they see, and tells what to put in their place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from fedzmq.errors import OperationRefused
from fedzmq.pointers.graph import Hooks, Leaf, Node, Watched
from fedzmq.pointers.remote import Handler, Remote

T = torch.Tensor
Hook = Callable[..., Any]


def register_hook(p: Remote, hook: Hook) -> RemovableHandle:
    """`hook(gradient)` sees a pointer at every backward; a pointer or tensor that it returns goes on in its place."""
    recorded = p._ref.stream.hooked(p, hook)
    if recorded is not None:
        return recorded
    node = _node(p, "cannot register a hook on a tensor that doesn't require gradient")
    if getattr(getattr(hook, "__code__", None), "co_filename", None) == torch.autograd.graph.__file__:
        raise OperationRefused(
            "register_multi_grad_hook",
            "which backward a gradient belongs to is known to torch's engine, which is the worker's; register a hook "
            "on each tensor",
        )
    watched = watch(p, node)
    if watched.hooks is None:
        watched.hooks = OrderedDict()
    return _added(watched.hooks, hook)


def register_after(p: Remote, hook: Hook) -> RemovableHandle:
    """`register_post_accumulate_grad_hook`: `hook(parameter)` runs once a backward has given it its gradient."""
    node = _node(p, "cannot register a hook on a tensor that doesn't require gradient")
    if not isinstance(node, Leaf):
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    watched = watch(p, node)
    if watched.after is None:
        watched.after = OrderedDict()
    watched.pointer = p
    return _added(watched.after, hook)


def retain_grad(p: Remote) -> None:
    """Keep the gradient of a tensor in the middle of a graph, on its worker, under `.grad`."""
    node = _node(p, "can't retain_grad on Tensor that has requires_grad=False")
    if not isinstance(node, Leaf):
        watch(p, node).retains = True


def retains_grad(p: Remote) -> bool:
    p._ref.catch_up()
    node = p._ref.node
    return node is not None and node.watched is not None and node.watched.retains


def watch(p: Remote, node: Node) -> Watched:
    if node.watched is None:
        node.watched = Watched(None if isinstance(node, Leaf) else p._ref.own_leaf())
        if p._ref.storage is not None and not isinstance(node, Leaf):
            p._ref.storage.is_watched = True
    return node.watched


def tensor_hooks(p: Remote) -> Hooks | None:
    node = p._ref.node
    return None if node is None or node.watched is None else node.watched.hooks


def hooks_after(p: Remote) -> Hooks | None:
    node = p._ref.node
    return None if node is None or node.watched is None else node.watched.after


def set_tensor_hooks(p: Remote, hooks: Hooks | None) -> None:
    node = p._ref.node
    if node is not None and (hooks is not None or node.watched is not None):
        watch(p, node).hooks = hooks


def set_hooks_after(p: Remote, hooks: Hooks | None) -> None:
    node = p._ref.node
    if node is not None and (hooks is not None or node.watched is not None):
        watched = watch(p, node)
        watched.after, watched.pointer = hooks, p if hooks else None


def retained(nodes: Sequence[Node]) -> list[Leaf]:
    """The tensors in the middle of a graph that are to keep their gradient."""
    found = [node.watched for node in nodes if node.watched is not None and node.watched.retains]
    return [each.inner for each in found if each.inner is not None]


def run_after(leaves: Sequence[Leaf]) -> None:
    """Run the hooks of those leaves that have just got a gradient."""
    for leaf in leaves:
        watched = leaf.watched
        if watched is not None and watched.after:
            for hook in list(watched.after.values()):
                if hook(watched.pointer) is not None:
                    raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def _node(p: Remote, otherwise: str) -> Node:
    refused = p._ref.stream.takes_no_hook()
    if refused is not None:
        raise refused
    p._ref.catch_up()
    if p._ref.node is None:
        raise RuntimeError(otherwise)
    return p._ref.node


def _added(hooks: Hooks, hook: Hook) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _property(name: str) -> Any:
    return getattr(T, name)


HOOKS: dict[Any, Handler] = {
    T.register_hook: register_hook,
    T.register_post_accumulate_grad_hook: register_after,
    T.retain_grad: retain_grad,
    _property("retains_grad").__get__: retains_grad,
    _property("_backward_hooks").__get__: tensor_hooks,
    _property("_backward_hooks").__set__: set_tensor_hooks,
    _property("_post_accumulate_grad_hooks").__get__: hooks_after,
    _property("_post_accumulate_grad_hooks").__set__: set_hooks_after,
}
