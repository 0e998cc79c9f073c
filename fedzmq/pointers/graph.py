"""The shadow of a worker's autograd graph: who feeds whom, and nothing else.

Gradients are computed on the worker; here the graph only tells, at `backward`, which leaves will get one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fedzmq.pointers.metadata import Meta

if TYPE_CHECKING:
    import torch

    from fedzmq.pointers.remote import Remote
    from fedzmq.pointers.stream import Stream


class Node:
    """What made a tensor that requires grad."""

    __slots__ = ("parents",)

    def __init__(self, parents: tuple[Node, ...]) -> None:
        self.parents = parents


class Leaf(Node):
    """A tensor where gradients gather. Owns the release of its id: the graph may need it after its pointer is gone."""

    __slots__ = ("grad", "id", "is_collected", "meta", "stream")

    def __init__(self, stream: Stream, id: int, meta: Meta) -> None:
        super().__init__(())
        self.stream = stream
        self.id = id
        self.meta = meta  # of a gradient
        self.grad: Remote | None = None
        self.is_collected = True  # the tensor goes when nothing here refers to it any more

    def __del__(self) -> None:
        if self.is_collected:
            self.stream.released.append(self.id)


class Doorway(Leaf):
    """A leaf whose gradient goes on from where the tensor lives to `home`: the tensor that it was made from.

    It holds no gradient after a backward, as little as any tensor in the middle of a graph does.
    """

    __slots__ = ("home",)

    def __init__(self, stream: Stream, id: int, meta: Meta, home: torch.Tensor) -> None:
        super().__init__(stream, id, meta)
        self.home = home


class Storage:
    """What a tensor and its views share: a write to one of them under grad mode is in the history of all of them."""

    __slots__ = ("node", "root", "version")

    def __init__(self, root: int, node: Node | None) -> None:
        self.root = root  # the id of the tensor that the views are of
        self.node = node
        self.version = 0

    def written(self, node: Node) -> None:
        self.node = node if self.node is None else Node((self.node, node))
        self.version += 1


def reachable(roots: Iterable[Node | None]) -> dict[Node, None]:
    """All nodes that feed the roots, in a fixed order."""
    seen: dict[Node, None] = {}
    stack = [node for node in roots if node is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            stack.extend(node.parents)
    return seen
