"""A client's hold on one tensor of a worker: its id there, and what is known of it here.

When the last hold is gone the id is put on the stream's list of released ids; the next flush sends the list. Nothing is
ever sent from a finaliser, which may run at any time and in any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from fedzmq.errors import PointerError
from fedzmq.pointers.graph import Doorway, Leaf, Node, Storage
from fedzmq.pointers.metadata import CONSTANT, INNER, LEAF, Meta

if TYPE_CHECKING:
    import torch

    from fedzmq.pointers.stream import Stream


class Spent:
    """Stands where the stream was. Costs the fast path nothing: it looks at its stream anyhow."""

    def __init__(self, worker: str, why: str) -> None:
        self.worker = worker
        self.released: list[int] = []
        self._why = why

    def __getattr__(self, name: str) -> NoReturn:
        self.refuse()

    def refuse(self) -> NoReturn:
        raise PointerError(self._why)


class Reference:
    """Held by exactly one pointer. A pointer itself takes no weak reference: `swap_tensors` refuses those.

    `node` is the tensor's place in the shadow graph, None while it requires no grad. `leaf` is set once it has been a
    leaf, and then owns the release of the id. `kept` says that something beside the user's program needs the tensor
    where it is: a parameter, a buffer, a gradient.
    """

    __slots__ = ("id", "kept", "leaf", "meta", "node", "seen", "storage", "stream")

    def __init__(self, stream: Stream, id: int, meta: Meta, node: Node | None = None) -> None:
        self.stream = stream
        self.id = id
        self.meta = meta
        self.node = node
        self.leaf: Leaf | None = None
        self.storage: Storage | None = None
        self.seen = 0
        self.kept = False

    def __del__(self) -> None:
        if self.leaf is None:
            self.stream.released.append(self.id)

    def spend(self, why: str) -> None:
        """The tensor is to be forgotten on the worker now; what still uses this reference raises PointerError."""
        if self.leaf is None:
            self.stream.released.append(self.id)
        else:
            self.leaf.is_collected = True
        self.leaf = None
        self.node = None
        self.storage = None
        self.stream = Spent(self.stream.worker, why)  # type: ignore[assignment]  # no stream: it refuses everything

    def check_unspent(self) -> None:
        """Raises PointerError, for what would not look at the stream."""
        if isinstance(self.stream, Spent):
            self.stream.refuse()

    def own_leaf(self) -> Leaf:
        """The leaf of this tensor, made when it is first needed."""
        if self.leaf is None:
            self.leaf = Leaf(self.stream, self.id, self.meta.of_gradient())
        return self.leaf

    def require_grad(self, value: bool) -> None:
        """Gradients are taken for it from here on, or no longer."""
        self.id = self.stream.require_grad(self.id, value)
        if value:
            self.become_leaf()
        else:
            self.become_constant()

    def become_leaf(self) -> None:
        self.meta = self.meta.of_kind(LEAF)
        self.node = self.own_leaf()

    def become_doorway(self, home: torch.Tensor) -> None:
        """A leaf whose gradient goes on to `home`. Only for a tensor that is new here."""
        if self.leaf is not None:
            self.leaf.is_collected = False  # the doorway takes its place
        self.meta = self.meta.of_kind(LEAF)
        self.node = self.leaf = Doorway(self.stream, self.id, self.meta.of_gradient(), home)

    @property
    def is_collected(self) -> bool:
        """The tensor is forgotten on the worker when its last pointer goes."""
        return self.leaf is None or self.leaf.is_collected

    @is_collected.setter
    def is_collected(self, value: bool) -> None:
        if value != self.is_collected:
            self.own_leaf().is_collected = value

    def become_constant(self) -> None:
        self.meta = self.meta.of_kind(CONSTANT)
        self.node = None

    def become_inner(self, node: Node) -> None:
        self.meta = self.meta.of_kind(INNER)
        self.node = node

    def is_view_of(self, base: Reference, is_sealed: bool = False) -> None:
        storage = base.storage
        if storage is None:
            storage = base.storage = Storage(base.id, base.node)
        self.storage = storage
        self.seen = storage.version
        if is_sealed or (storage.sealed and base.id in storage.sealed):
            storage.sealed.add(self.id)

    def written(self, meta: Meta, node: Node | None) -> None:
        """An operation wrote into this tensor, which is like this now; `node` is the write, if it has a gradient."""
        self.meta = meta
        if node is None:
            return
        self.node = node
        if self.storage is not None:
            self.storage.written(node)
            self.seen = self.storage.version

    def catch_up(self) -> None:
        """Take over what was written, with a gradient, through another view of the same storage."""
        storage = self.storage
        if storage is not None and storage.version != self.seen and storage.node is not None:
            self.seen = storage.version
            self.become_inner(storage.node)
