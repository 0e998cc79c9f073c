"""The answers that make a step where nobody waits for others: each is taken in whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from fedzmq.client.client import Client
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.updates.collection import Collection, Unusable
from fedzmq.federated.updates.precision import wide
from fedzmq.federated.updates.spool import Spool

PIECE = 1 << 17  # elements that are moved at once


class Buffer:
    """Gives the mean of where each answer alone would move the model. Close it, or use it in a `with`.

    The workers train on once they were heard and keep what they did no longer, so that a sum of which one's part broke
    off could not be made again: an answer is on disk before it is added.
    """

    def __init__(self, client: Client, shared: Mapping[str, torch.Tensor], strategy: Asynchronous) -> None:
        self._client = client
        self._shared = shared
        self._state = list(shared.values())
        self._strategy = strategy
        self._sums = [torch.zeros(each.shape, dtype=wide(each.dtype)) for each in self._state]
        self._count = 0

    @torch.no_grad()
    def add(self, assignment: Assignment, sent: Sequence[torch.Tensor], staleness: int) -> None:
        """Pull what became of the tensors that were sent. Raises a FedzmqError where that cannot be had, or used."""
        with _Arrived(self._state) as arrived:
            try:
                Collection(self._client, self._shared, {assignment.handle.name: assignment}).into(arrived)
            except Unusable as unusable:
                raise unusable.error from None
            for place, total in enumerate(self._sums):
                now, before = self._state[place].reshape(-1), sent[place].reshape(-1)
                for start in range(0, len(now), PIECE):
                    stop = min(start + PIECE, len(now))
                    new = arrived.spool.read(place, start, stop)[0]
                    at, came, new = (each.to(total.dtype) for each in (now[start:stop], before[start:stop], new))
                    total.view(-1)[start:stop] += self._strategy.moved(at, came, new, staleness)
        self._count += 1

    def combined(self, place: int) -> torch.Tensor:
        return self._sums[place].div_(self._count)

    def close(self) -> None:
        self._sums = []

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Arrived:
    """Takes one update, and only holds it."""

    def __init__(self, state: Sequence[torch.Tensor]) -> None:
        self.spool = Spool(state, 1)

    def open(self, state: Sequence[torch.Tensor]) -> None:
        """It is open from the beginning."""

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        self.spool.write(0, place, start, values)

    def close(self) -> None:
        self.spool.close()

    def __enter__(self) -> _Arrived:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
