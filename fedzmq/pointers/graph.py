"""The shadow of a worker's autograd graph: who feeds whom, and nothing else.

Gradients are computed on the worker; here the graph only tells, at `backward`, which leaves will get one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from fedzmq.errors import OperationRefused
from fedzmq.pointers.metadata import Meta

if TYPE_CHECKING:
    import torch

    from fedzmq.pointers.stream import Stream


Hooks: TypeAlias = "OrderedDict[int, Callable[..., Any]]"


class Node:
    """What made a tensor that requires grad. `watched` is set where somebody asked for the gradient of that tensor."""

    __slots__ = ("parents", "watched")

    def __init__(self, parents: tuple[Node, ...]) -> None:
        self.parents = parents
        self.watched: Watched | None = None

    def register_hook(self, hook: object) -> NoReturn:
        raise OperationRefused(
            "grad_fn.register_hook",
            "the graph is the worker's; use the tensor's own register_hook, or a module's register_full_backward_hook",
        )

    register_prehook = register_hook

    @property
    def next_functions(self) -> NoReturn:
        raise OperationRefused(
            "grad_fn.next_functions",
            "the graph is the worker's, and only its leaves are known here; for register_multi_grad_hook, which asks "
            "for them, register a hook on each tensor",
        )


class Derived(Node):
    """What made a gradient that has a graph of its own: on which of its parents it depends is known to the worker."""

    __slots__ = ()


class Leaf(Node):
    """A tensor where gradients gather. Owns the release of its id: the graph may need it after its pointer is gone."""

    __slots__ = ("grad", "id", "is_collected", "meta", "stream")

    def __init__(self, stream: Stream, id: int, meta: Meta) -> None:
        super().__init__(())
        self.stream = stream
        self.id = id
        self.meta = meta  # of a gradient
        self.grad: torch.Tensor | None = None  # a pointer
        self.is_collected = True  # the tensor goes when nothing here refers to it any more

    def __del__(self) -> None:
        if self.is_collected:
            self.stream.released.append(self.id)


class Watched:
    """What is to happen to the gradient of one tensor, beside its way through the graph.

    `hooks` are those of the tensor, `gate` one that it passes together with others, `after` those of a leaf that has
    its gradient, with the leaf's own pointer. `inner` names a tensor that is no leaf, and keeps it on the worker as
    long as the graph lives; it holds the gradient where `retains`.
    """

    __slots__ = ("after", "gate", "hooks", "inner", "pointer", "retains")

    def __init__(self, inner: Leaf | None) -> None:
        self.inner = inner
        self.hooks: Hooks | None = None
        self.gate: Gate | None = None
        self.after: Hooks | None = None
        self.pointer: torch.Tensor | None = None
        self.retains = False


class Gate:
    """Where the gradients of several tensors come together, and what the hooks give goes on in their place.

    With `into` there is one hook, a function's own backward: it gives the gradients of those tensors instead.
    """

    __slots__ = ("hooks", "into", "nodes")

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.into: tuple[Node, ...] = ()
        self.hooks: list[Callable[..., Any]] = []


class Doorway(Leaf):
    """A leaf whose gradient goes on from where the tensor lives to `home`: the tensor that it was made from.

    It holds no gradient after a backward, as little as any tensor in the middle of a graph does.
    """

    __slots__ = ("home",)

    def __init__(self, stream: Stream, id: int, meta: Meta, home: torch.Tensor) -> None:
        super().__init__(stream, id, meta)
        self.home = home


class Storage:
    """What a tensor and its views share: a write to one of them under grad mode is in the history of all of them.

    `is_watched` says that somebody wants the gradient of one of them that is no leaf, as it is now. `sealed` are the
    ids of those that cannot be written to under grad mode.
    """

    __slots__ = ("is_watched", "node", "root", "sealed", "version")

    def __init__(self, root: int, node: Node | None) -> None:
        self.root = root  # the id of the tensor that the views are of
        self.node = node
        self.version = 0
        self.sealed: set[int] = set()
        self.is_watched = node is not None and node.watched is not None and node.watched.inner is not None

    def written(self, node: Node) -> None:
        self.node = node if self.node is None else Node((self.node, node))
        self.version += 1


def reachable(roots: Iterable[Node | None], without: Container[Node] = ()) -> dict[Node, None]:
    """All nodes that feed the roots, in a fixed order. Nobody goes through those that are left out."""
    seen: dict[Node, None] = {}
    stack = [node for node in roots if node is not None]
    while stack:
        node = stack.pop()
        if node not in seen and node not in without:
            seen[node] = None
            stack.extend(node.parents)
    return seen
