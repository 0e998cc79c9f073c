"""What stays on a worker between the rounds of a run: control variates, personal parameters, models of its own.

It is kept by round, and a round goes on from the last one that counted: trained twice, or in vain, it leaves no trace.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

import torch

from fedzmq.worker.training.room import by_client, to_drop

MOST_RUNS = 16
MOST_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class RunName:
    """A run draws a name that nobody guesses; its plan and data set are part of it, so that what is kept fits them."""

    run: str
    plan: str
    dataset: str


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Tensors of one worker after one round, by the name of the parameter or buffer.

    control: control variates. personal: parameters and buffers that stay here. model: the whole state of a second one.
    """

    control: dict[str, torch.Tensor] = field(default_factory=dict)
    personal: dict[str, torch.Tensor] = field(default_factory=dict)
    model: dict[str, torch.Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.control or self.personal or self.model)

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for kind in (self.control, self.personal, self.model) for each in kind.values())


class Files(Protocol):
    """Where it outlives the process."""

    def write(self, name: RunName, round: int, kept: Kept) -> None: ...

    def read(self, name: RunName, round: int) -> Kept | None: ...

    def forget(self, name: RunName, but: int | None = None) -> None: ...


class Memory:
    """Keeps the runs used last, and of each the round that counted last and those after it.

    At most `most` runs, and so many bytes, but for the last one, however large. Who keeps most makes room.
    """

    def __init__(self, most: int = MOST_RUNS, files: Files | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._clients: dict[RunName, str] = {}
        self.files = files  # may be others later
        self._runs: OrderedDict[RunName, dict[int, Kept]] = OrderedDict()

    def recall(self, name: RunName, basis: int, client: str) -> Kept:
        """What round `basis` kept; what other rounds did is forgotten. Nothing where this worker does not know it."""
        kept = self._runs.get(name, {}).get(basis)
        if self.files is not None:
            kept = kept or self.files.read(name, basis)
            self.files.forget(name, but=basis)
        if name in self._runs or kept is not None:
            self._use(name, {} if kept is None else {basis: kept}, client)
        return kept or Kept()

    def look(self, name: RunName, basis: int) -> Kept:
        """As `recall`, and nothing is forgotten."""
        return self._runs.get(name, {}).get(basis, Kept())

    def keep(self, name: RunName, round: int, kept: Kept, client: str) -> None:
        """For a later round. What is kept must not be changed any more."""
        if self.files is not None:
            self.files.write(name, round, kept)
        self._use(name, {**self._runs.get(name, {}), round: kept}, client)

    def held(self) -> Counter[str]:
        """The bytes that are kept for each client, by its name."""
        return by_client(self._sizes().values())

    def forget(self, client: str) -> None:
        """A client keeps too much: its runs go from memory, and only what files hold of them can be recalled."""
        for name in [name for name, each in self._clients.items() if each == client]:
            del self._runs[name], self._clients[name]

    def _use(self, name: RunName, rounds: dict[int, Kept], client: str) -> None:
        """It is the run used last, and others make room for it."""
        self._runs[name] = rounds
        self._runs.move_to_end(name)
        self._clients[name] = client
        while (oldest := self._to_drop()) is not None:
            del self._runs[oldest], self._clients[oldest]
            if self.files is not None:
                self.files.forget(oldest)

    def _to_drop(self) -> RunName | None:
        if len(self._runs) > self._most:
            return to_drop({name: (self._clients[name], 1) for name in self._runs})
        sizes = self._sizes()
        return to_drop(sizes) if sum(size for _, size in sizes.values()) > self._most_bytes else None

    def _sizes(self) -> dict[RunName, tuple[str, int]]:
        return {
            name: (self._clients[name], sum(kept.nbytes for kept in rounds.values()))
            for name, rounds in self._runs.items()
        }
