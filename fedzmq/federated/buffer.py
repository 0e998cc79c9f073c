"""The answers that make a step where nobody waits for others: each is taken in whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.client import Client
from fedzmq.errors import FedzmqError
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.updates.collection import Collection, Unusable
from fedzmq.federated.updates.due import Due
from fedzmq.federated.updates.precision import wide
from fedzmq.federated.updates.spool import Spool

PIECE = 1 << 17  # elements that are moved at once


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A training that is done, what it was sent of that which travels, and how many steps ago."""

    assignment: Assignment
    sent: Sequence[torch.Tensor]
    staleness: int


class Buffer:
    """Gives the mean of where each answer alone would move the model. Close it, or use it in a `with`.

    What is not trained goes its share of the way to the answer, whatever the strategy: a running variance that moved by
    the difference of two others could come below zero.

    The workers train on once they were heard and keep what they did no longer, so that a sum of which one's part broke
    off could not be made again: an answer is on disk before it is added.
    """

    def __init__(self, client: Client, model: SharedModel, strategy: Asynchronous) -> None:
        self._client = client
        self._due = Due(model.shared, strategy.buffer)
        self._state = self._due.state
        self._trained = [name in model.trained for name in model.shared]
        self._strategy = strategy
        self._sums = [torch.zeros(each.shape, dtype=wide(each.dtype)) for each in self._state]
        self._count = 0

    def add(self, arrivals: Mapping[str, Arrival]) -> dict[str, FedzmqError]:
        """Pull what these workers have trained, side by side; given back is what could not be had, or used, and why.

        Once one turns out to be of no use, the others are pulled anew without it.
        """
        usable, failed = dict(arrivals), dict[str, FedzmqError]()
        while usable:
            with _Arrived(self._state, sorted(usable)) as arrived:
                try:
                    assignments = {name: each.assignment for name, each in usable.items()}
                    Collection(self._client, self._due, assignments).into(arrived)
                except Unusable as unusable:
                    failed[unusable.worker] = unusable.error
                    del usable[unusable.worker]
                    continue
                self._sum(arrived, [usable[name] for name in sorted(usable)])
                break
        return failed

    @torch.no_grad()
    def _sum(self, arrived: _Arrived, arrivals: Sequence[Arrival]) -> None:
        """In the order of the workers' names."""
        for place, total in enumerate(self._sums):
            now = self._state[place].reshape(-1)
            for start in range(0, len(now), PIECE):
                stop = min(start + PIECE, len(now))
                at = now[start:stop].to(total.dtype)
                for each, new in zip(arrivals, arrived.spool.read(place, start, stop), strict=True):
                    new = new.to(total.dtype)
                    if self._trained[place]:
                        came = each.sent[place].reshape(-1)[start:stop].to(total.dtype)
                        moved = self._strategy.moved(at, came, new, each.staleness)
                    else:
                        moved = at.lerp(new, self._strategy.counts(each.staleness))
                    total.view(-1)[start:stop] += moved
        self._count += len(arrivals)

    def combined(self, place: int) -> torch.Tensor:
        return self._sums[place].div_(self._count)

    def close(self) -> None:
        self._sums = []

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Arrived:
    """Takes the updates of these workers, and only holds them."""

    def __init__(self, state: Sequence[torch.Tensor], names: Sequence[str]) -> None:
        self.spool = Spool(state, len(names))
        self._places = {name: place for place, name in enumerate(names)}

    def open(self, state: Sequence[torch.Tensor]) -> None:
        """It is open from the beginning."""

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        self.spool.write(self._places[worker], place, start, values)

    def close(self) -> None:
        self.spool.close()

    def __enter__(self) -> _Arrived:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
