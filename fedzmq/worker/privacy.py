"""Whose values may leave this worker, and to whom: by the memory that holds them, and for whatever is computed of them.

A rule belongs to memory and not to a name of it, so that views and what other clients found by a search are held to it.
What an operation makes of private operands is private too, for those alone who may take all of the operands.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef

from fedzmq.errors import GetNotPermittedError

Users = frozenset[str]
_FEW = 256  # rules that are never worth a look for those of memory that is gone


class Privacy:
    """The rules of one worker, for all its clients. Memory without one is public."""

    def __init__(self) -> None:
        self._rules: dict[int, tuple[StorageWeakRef, Users]] = {}
        self.overwritten: Users | None = None
        self._lent: dict[int, tuple[StorageWeakRef, str]] = {}  # memory that others found, and whose it is

    def users(self, tensor: Tensor) -> Users | None:
        """Who may take the value, None where everybody may who can name the tensor."""
        found = self._rules.get(_memory(tensor))
        return None if found is None else found[1]

    def common(self, tensors: Iterable[Tensor | None]) -> Users | None:
        """Who may take the values of all of these, None where all are public."""
        known: Users | None = None
        for tensor in tensors:
            users = None if tensor is None else self.users(tensor)
            if users is not None:
                known = users if known is None else known & users
        return known

    def restrict(self, tensor: Tensor, users: Users) -> None:
        """Let no others take the value. A rule that is there already is only ever made narrower."""
        before = self.users(tensor)
        storage = tensor.untyped_storage()
        self._rules[storage._cdata] = (_weak(storage), users if before is None else users & before)
        if len(self._rules) > _FEW and not len(self._rules) & len(self._rules) - 1:  # at every power of two
            self._forget()

    def overwrite(self, tensor: Tensor, before: Users | None, users: Users) -> None:
        """As `restrict`, of a tensor whose value was for those of `before`: a graph may have kept it as it was then.

        What some nodes of a graph have kept cannot be seen: `overwritten` is who may take it, None where all may.
        """
        if before is None or not before <= users:
            self.overwritten = users if self.overwritten is None else self.overwritten & users
        self.restrict(tensor, users)

    def lend(self, tensor: Tensor, owner: str) -> None:
        """Another client than its owner has found this memory."""
        storage = tensor.untyped_storage()
        self._lent.setdefault(storage._cdata, (_weak(storage), owner))
        if len(self._lent) > _FEW and not len(self._lent) & len(self._lent) - 1:
            self._forget()

    def check_owner(self, tensor: Tensor, client: str) -> None:
        """Raises GetNotPermittedError where it is for another client to make rules about this memory."""
        lent = self._lent.get(_memory(tensor))
        if lent is not None and lent[1] != client:
            raise GetNotPermittedError(f"this tensor is {lent[1]}'s, who alone can make it private")

    def hides(self, tensors: Iterable[Tensor | None], client: str) -> bool:
        """Whether the client may not take the value of one of these."""
        users = self.common(tensors)
        return users is not None and client not in users

    def check(self, tensor: Tensor, client: str) -> None:
        """Raises GetNotPermittedError where the client may not take the value."""
        users = self.users(tensor)
        if users is not None and client not in users:
            allowed = ", ".join(sorted(users)) or "nobody"
            raise GetNotPermittedError(
                f"this value, or one that it was computed from, is private: {allowed} may take it, and {client!r} not"
            )

    def _forget(self) -> None:
        self._rules = {key: each for key, each in self._rules.items() if not _is_gone(each[0])}
        self._lent = {key: each for key, each in self._lent.items() if not _is_gone(each[0])}


def _weak(storage: UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]


def _is_gone(weak: StorageWeakRef) -> bool:
    return bool(weak.expired())  # type: ignore[no-untyped-call]


def _memory(tensor: Tensor) -> int:
    # A weak reference keeps the number of memory that is gone from being given to other memory.
    number: int = tensor.untyped_storage()._cdata
    return number
