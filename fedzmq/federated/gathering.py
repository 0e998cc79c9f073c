"""All updates of a round beside each other: what a strategy that compares workers combines, in place of a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from fedzmq.federated.precision import wide
from fedzmq.federated.spool import Spool
from fedzmq.federated.update import Update

PIECE = 1 << 20  # elements of all updates together that are in memory at once
FARTHEST = 1e150  # a squared distance; sums of such are still numbers

Trust = Callable[[torch.Tensor], torch.Tensor]
"""From the squared distances between n updates, (n, n), to the weight of each, (n,)."""

Merge = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From updates (k, elements) and their weights (k,), all above 0, to one row (elements,)."""


class Gathering:
    """Spools the updates of `workers`, weighs them by `trust` (None: all the same) and merges them piece by piece.

    Updates are in the order of the workers' names, whoever answers first. Distances are taken over all that is
    floating-point, in float64.
    """

    def __init__(self, workers: Iterable[str], merge: Merge, trust: Trust | None = None) -> None:
        self._merge = merge
        self._trust = trust
        self._spool = Spool()
        self._arrived: list[str] = []
        self._weights: torch.Tensor | None = None

    def add(self, worker: str, update: Update) -> None:
        """Write an update to disk."""
        self._spool.add(update.state)
        self._arrived.append(worker)

    def skip(self, worker: str) -> None:
        """There is no update of this worker."""

    def combined(self, place: int) -> torch.Tensor:
        """The merged tensor at this place of the state, in float64. Raises ValueError where nothing was added."""
        if not self._arrived:
            raise ValueError("no update was added")
        if self._weights is None:
            equal = torch.ones(len(self._arrived), dtype=torch.float64)
            self._weights = equal if self._trust is None else self._trust(self._apart())
        trusted = self._weights.nonzero().flatten()
        weights = self._weights[trusted]
        shape, dtype = self._spool.shapes[place], wide(self._spool.dtype(place))
        result = torch.empty(shape.numel(), dtype=dtype)
        for start, stop in self._pieces(shape.numel()):
            result[start:stop] = self._merge(self._rows(place, start, stop)[trusted], weights)
        return result.reshape(shape)

    def close(self) -> None:
        """The updates can go."""
        self._spool.close()

    def _apart(self) -> torch.Tensor:
        """Squared distances between all pairs."""
        count = len(self._arrived)
        squares = torch.zeros(count, count, dtype=torch.float64)
        for place, shape in enumerate(self._spool.shapes):
            if not self._spool.dtype(place).is_floating_point:
                continue
            for start, stop in self._pieces(shape.numel()):
                rows = self._rows(place, start, stop)
                for one in range(count):
                    squares[one] += (rows - rows[one]).square().sum(1)
        return squares.nan_to_num(nan=FARTHEST).clamp(max=FARTHEST)

    def _rows(self, place: int, start: int, stop: int) -> torch.Tensor:
        rows = self._spool.piece(place, start, stop)
        order = sorted(range(len(self._arrived)), key=lambda index: self._arrived[index])
        return rows[order].to(wide(rows.dtype))

    def _pieces(self, elements: int) -> Iterable[tuple[int, int]]:
        size = max(1, PIECE // len(self._arrived))
        return ((start, min(start + size, elements)) for start in range(0, elements, size))
