"""Tags and descriptions of stored tensors, and the search through them.

A client finds its own tensors, and of the others' those alone that they share with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from fedzmq.wire.messages import Clear, Found, Label, ListObjects, ObjectInfo, Search, Share
from fedzmq.worker.outputs import description_of
from fedzmq.worker.store import Store

_FEW = 64  # labels that are never worth a look for those of dropped tensors


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a client says of a tensor. `shared` is None for nobody, empty for every client."""

    tags: tuple[str, ...] = ()
    description: str = ""
    shared: tuple[str, ...] | None = None

    def fits(self, terms: Sequence[str]) -> bool:
        return all(term in self.tags or term in self.description for term in terms)


class AllLabels:
    """The labels of all clients of one worker."""

    def __init__(self) -> None:
        self.all: dict[int, Labels] = {}  # by their identity: two clients may have one name, one after the other


class Labels:
    """Those of one client. `store` is its own."""

    def __init__(self, store: Store, all_labels: AllLabels, client: str) -> None:
        self.client = client
        self._store = store
        self._all_labels = all_labels
        self._of: dict[int, Labelled] = {}
        all_labels.all[id(self)] = self

    def leave(self) -> None:
        """The client is gone: nobody finds its tensors any more."""
        self._all_labels.all.pop(id(self), None)

    def label(self, command: Label) -> None:
        """Raises where the tensor is not there."""
        self._store.tensor(command.id)
        of = self._of.get(command.id, Labelled())
        self._set(command.id, replace(of, tags=command.tags, description=command.description))

    def share(self, command: Share) -> None:
        """Raises where the tensor is not there."""
        self._store.tensor(command.id)
        self._set(command.id, replace(self._of.get(command.id, Labelled()), shared=command.clients))

    def search(self, command: Search) -> Found:
        """Binds what it finds, as tensors that share the memory and have a gradient of their own."""
        found = [
            each
            for labels in list(self._all_labels.all.values())
            for each in labels._visible(self.client, is_own=labels is self)
            if each[2].fits(command.terms)
        ]
        total = len(found)
        found = found if total <= command.room else []
        aliases = [tensor.detach().requires_grad_(tensor.requires_grad) for _, tensor, _ in found]
        for alias, (owner, _, _) in zip(aliases, found, strict=True):
            self._borrow(alias, owner)
        self._store.keep_all(command.first, aliases)
        infos = tuple(
            _info(number, alias, labelled, owner)
            for number, (alias, (owner, _, labelled)) in enumerate(zip(aliases, found, strict=True), command.first)
        )
        return Found(command.request, total, infos)

    def listed(self, command: ListObjects) -> Found:
        infos = tuple(
            _info(number, tensor, self._of.get(number, Labelled()), self.client)
            for number, tensor in self._store.tensors.items()
        )
        return Found(command.request, len(infos), infos)

    def clear(self, command: Clear) -> None:
        """Forget every tensor of this client, and every failure in the place of one."""
        self._of.clear()
        for number in [*self._store.tensors, *self._store.failures]:
            self._store.drop(number)

    def _borrow(self, tensor: Tensor, owner: str) -> None:
        privacy = self._store.privacy
        if owner != self.client:
            privacy.lend(tensor, owner)
        # A rule may come later, too: what is shared stays in the hands of its owner.
        self._store.is_guarded = self._store.is_guarded or owner != self.client or privacy.users(tensor) is not None

    def _visible(self, client: str, *, is_own: bool) -> Iterator[tuple[str, Tensor, Labelled]]:
        for number, labelled in list(self._of.items()):
            tensor = self._store.tensors.get(number)
            if tensor is None:
                continue
            shared = labelled.shared
            if is_own or (shared is not None and (not shared or client in shared)):
                yield self.client, tensor, labelled

    def _set(self, number: int, labelled: Labelled) -> None:
        self._of[number] = labelled
        if len(self._of) > max(_FEW, 2 * len(self._store)):
            self._of = {number: each for number, each in self._of.items() if number in self._store.tensors}


def _info(number: int, tensor: Tensor, labelled: Labelled, owner: str) -> ObjectInfo:
    return ObjectInfo(number, description_of(tensor), labelled.tags, labelled.description, owner)
