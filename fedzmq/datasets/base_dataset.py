"""Examples and their targets, by row, here or on a worker: they change their place in the same object."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import DataError, FederatedMember
from fedzmq.pointers.destination import Destination, worker_of
from fedzmq.pointers.homecoming import all_home
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.sending import send_tensor
from fedzmq.pointers.verbs import Place

Transform = Callable[[Tensor], Tensor]
Examples = tuple[Tensor, Tensor]
DATA, TARGETS = "dataset-data:", "dataset-targets:"  # how tags say which columns belong together
_MARK_BYTES = 8


class BaseDataset(torch.utils.data.Dataset[Examples]):
    """`data` and `targets` have a row for each example. `transform` is applied to the data of what is taken out."""

    def __init__(self, data: Tensor, targets: Tensor, transform: Transform | None = None) -> None:
        if len(data) != len(targets):
            raise DataError("BaseDataset", f"it has {len(data)} rows of data and {len(targets)} targets")
        self.data = data
        self.targets = targets
        self.transform_ = transform
        self.federated = False  # a FederatedDataset holds it, which then says where it is

    def __len__(self) -> int:
        return int(self.data.shape[0])

    def __getitem__(self, index: Any) -> Examples:
        """One example for a number, several for a slice or an index tensor: two commands where it is on a worker."""
        data = self.data[index]
        return data if self.transform_ is None else self.transform_(data), self.targets[index]

    def __iter__(self) -> Iterator[Examples]:
        return (self[index] for index in range(len(self)))

    @property
    def location(self) -> Any:
        """The worker that has it, None for here."""
        return self.data.location if isinstance(self.data, Pointer) else None

    @property
    def owner(self) -> Any:
        """Whose it is: this process."""
        return self.data.owner  # type: ignore[attr-defined]  # every tensor has it

    def tag(self, *tags: str) -> BaseDataset:
        """Tag it, here or on its worker, where `worker.search_datasets` finds it then; itself."""
        mark = mark_of(self.data) or os.urandom(_MARK_BYTES).hex()
        self.data.tag(*tags, f"{DATA}{mark}")  # type: ignore[attr-defined]  # every tensor has it
        self.targets.tag(*tags, f"{TARGETS}{mark}")  # type: ignore[attr-defined]
        return self

    def describe(self, description: str) -> BaseDataset:
        self.tag()
        for column in (self.data, self.targets):
            column.describe(description)  # type: ignore[attr-defined]
        return self

    @property
    def tags(self) -> set[str]:
        tags: set[str] = self.data.tags  # type: ignore[attr-defined]
        return {tag for tag in tags if not tag.startswith((DATA, TARGETS))}

    @property
    def description(self) -> str:
        return self.data.description  # type: ignore[attr-defined, no-any-return]

    def transform(self, transform: Transform) -> None:
        """Apply a function to all the data now. On a worker it runs there, on pointers."""
        self.data = transform(self.data)

    def send(self, worker: Place) -> BaseDataset:
        """To a worker, held or named, in place."""
        destination = worker_of(worker)
        self.data = _moved(self.data, destination)
        self.targets = _moved(self.targets, destination)
        return self

    def get(self) -> BaseDataset:
        """Home, in place, all of it. Raises FederatedMember where it is part of a FederatedDataset."""
        if self.federated:
            raise FederatedMember(self.location.name)
        return self.come_home()

    def come_home(self) -> BaseDataset:
        """As `get`, for who holds it."""
        self.data, self.targets = all_home([self.data, self.targets])
        return self

    def __repr__(self) -> str:
        where = "here" if self.location is None else f"on {self.location.name}"
        return f"BaseDataset({len(self)} examples of {tuple(self.data.shape[1:])} {where})"


def datasets_among(pointers: Iterable[Tensor]) -> list[BaseDataset]:
    """Those whose data and targets are both among what a search found."""
    data: dict[str, Tensor] = {}
    targets: dict[str, Tensor] = {}
    for pointer in pointers:
        for tag in pointer.tags:  # type: ignore[attr-defined]  # every tensor has them
            for prefix, found in ((DATA, data), (TARGETS, targets)):
                if tag.startswith(prefix):
                    found[tag.removeprefix(prefix)] = pointer
    return [BaseDataset(each, targets[mark]) for mark, each in data.items() if mark in targets]


def mark_of(tensor: Tensor) -> str:
    """What the two columns of a tagged data set have in common; empty for one that is not tagged."""
    tags: set[str] = tensor.tags  # type: ignore[attr-defined]
    return next((tag.removeprefix(DATA) for tag in tags if tag.startswith(DATA)), "")


def _moved(tensor: Tensor, worker: Destination) -> Tensor:
    return tensor.move(worker) if isinstance(tensor, Pointer) else send_tensor(tensor, worker)
