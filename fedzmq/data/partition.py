"""Who holds which examples of a data set that everybody could read: a held-out share, and a part for each worker."""

from __future__ import annotations

import torch

from fedzmq.data.data import targets_of
from fedzmq.data.examples import Examples
from fedzmq.data.partitioners.partitioner import Marks, Partitioner, stream
from fedzmq.data.split import HELD_OUT
from fedzmq.errors import DataError

_HOLD_OUT = 1  # the purpose of the draw: what is held out must not depend on how the rest is split


def hold_out(data: Examples, fraction: float = HELD_OUT, seed: int = 0) -> tuple[Examples, Examples]:
    """What remains for training, and a random share for evaluation: at least one example each, in the set's order."""
    kept, held = held_out_rows(data, fraction, seed)
    return data.rows(kept), data.rows(held)


def part(
    data: Examples,
    number: int,
    of: int,
    partitioner: Partitioner,
    seed: int,
    groups: torch.Tensor | None = None,
    fraction: float = HELD_OUT,
) -> Examples:
    """What worker `number` of `of` holds, counted from 1, once the held-out share is taken away.

    groups: (rows,) int64, for a partitioner that goes by a column. Raises DataError.
    """
    if not 1 <= number <= of:
        raise DataError(data.name, f"part {number} of {of} is not there; parts count from 1 to {of}")
    kept, _ = held_out_rows(data, fraction, seed)
    marks = Marks(data.name, targets_of(data), groups).rows(kept)
    return data.rows(kept[partitioner.split(marks, of, seed)[number - 1]])


def held_out_rows(data: Examples, fraction: float = HELD_OUT, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that are kept, and those that are not: of the same seed, a larger share holds all of a smaller one.

    Raises DataError.
    """
    rows = len(data)
    if not 0 < fraction < 1:
        raise DataError(data.name, f"the share to hold out is {fraction:g}, and it must lie between 0 and 1")
    if rows < 2:
        raise DataError(data.name, "it has 1 example, and 2 are needed: one to train on and one to evaluate")
    held = min(max(round(rows * fraction), 1), rows - 1)
    order = torch.from_numpy(stream(seed, _HOLD_OUT).permutation(rows))
    return order[held:].sort().values, order[:held].sort().values
