"""All updates of a round beside each other: what a strategy that compares workers combines, in place of a sum.

Updates are in the order of the workers' names, whoever answers first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.updates.precision import wide
from fedzmq.federated.updates.spool import Spool

PIECE = 1 << 20  # elements of all updates together that are in memory at once
FARTHEST = 1e150  # of what a comparison gives; sums of such are still numbers

Compare = Callable[[torch.Tensor], torch.Tensor]
"""From a piece of n updates, (n, elements) in float64, to what tells them from each other, (n, n), which adds up."""

Trust = Callable[[torch.Tensor], torch.Tensor]
"""From that of the whole updates, (n, n), to the weight of each, (n,)."""

Merge = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From updates (k, elements) and their weights (k,), all above 0, to one row (elements,)."""


class Merging:
    """A `Collector` that merges every piece as soon as all have sent it. All updates weigh the same."""

    def __init__(self, answers: Iterable[Answer], merge: Merge) -> None:
        self._order = _order(answers)
        self._merge = merge
        self._weights = torch.ones(len(self._order), dtype=torch.float64)
        self._merged: list[torch.Tensor] = []
        self._rows: dict[tuple[int, int], torch.Tensor] = {}  # of what did not yet come from all

    def open(self, state: Sequence[torch.Tensor]) -> None:
        self._merged = [torch.zeros(each.shape, dtype=wide(each.dtype)) for each in state]

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        merged, number = self._merged[place], self._order[worker]
        if number == 0:
            self._rows[place, start] = torch.empty(len(self._order), len(values), dtype=merged.dtype)
        self._rows[place, start][number] = values
        if number == len(self._order) - 1:
            rows = self._rows.pop((place, start))
            merged.view(-1)[start : start + len(values)] = _merged(self._merge, rows, self._weights)

    def combined(self, place: int) -> torch.Tensor:
        return self._merged[place]

    def close(self) -> None:
        self._merged, self._rows = [], {}


class Gathering:
    """A `Collector` that spools updates, weighs them by `trust` and merges those it trusts, piece by piece.

    They are compared in all that is no integer.
    """

    def __init__(self, answers: Iterable[Answer], merge: Merge, trust: Trust, compare: Compare) -> None:
        self._order = _order(answers)
        self._merge = merge
        self._trust = trust
        self._compare = compare
        self._state: Sequence[torch.Tensor] = ()
        self._spool: Spool | None = None
        self._weights: torch.Tensor | None = None

    def open(self, state: Sequence[torch.Tensor]) -> None:
        self.close()
        self._state = state
        self._spool = Spool(state, len(self._order))
        self._weights = None

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        self._opened.write(self._order[worker], place, start, values)

    def combined(self, place: int) -> torch.Tensor:
        if self._weights is None:
            self._weights = self._trust(self._compared())
        trusted = self._weights.nonzero().flatten()
        weights = self._weights[trusted]
        like = self._state[place]
        result = torch.empty(like.numel(), dtype=wide(like.dtype))
        for start, stop in self._pieces(like.numel()):
            rows = self._opened.read(place, start, stop)[trusted]
            result[start:stop] = _merged(self._merge, rows.to(result.dtype), weights)
        return result.reshape(like.shape)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    @property
    def _opened(self) -> Spool:
        if self._spool is None:
            raise ValueError("nothing is gathered before it was opened")
        return self._spool

    def _compared(self) -> torch.Tensor:
        count = len(self._order)
        compared = torch.zeros(count, count, dtype=torch.float64)
        for place, like in enumerate(self._state):
            if not (like.is_floating_point() or like.is_complex()):
                continue
            for start, stop in self._pieces(like.numel()):
                rows = self._opened.read(place, start, stop)
                compared += self._compare(_real(rows.to(wide(rows.dtype))))
        return compared.nan_to_num(nan=FARTHEST).clamp(-FARTHEST, FARTHEST)

    def _pieces(self, elements: int) -> Iterator[tuple[int, int]]:
        size = max(1, PIECE // len(self._order))
        return ((start, min(start + size, elements)) for start in range(0, elements, size))


def _merged(merge: Merge, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    row = merge(_real(rows), weights)
    return torch.view_as_complex(row.view(-1, 2)) if rows.is_complex() else row


def _real(rows: torch.Tensor) -> torch.Tensor:
    """Two numbers for each that is complex, which have no order."""
    return torch.view_as_real(rows).flatten(1) if rows.is_complex() else rows


def _order(answers: Iterable[Answer]) -> dict[str, int]:
    return {worker: number for number, worker in enumerate(sorted(each.worker for each in answers))}
