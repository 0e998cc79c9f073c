"""The order of the examples in local training. It follows from the seed alone, so that anybody can compute it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

_GOLDEN = 0x9E3779B97F4A7C15  # spreads the seeds of epochs, which would otherwise meet those of other tasks


def batch_sizes(rows: int, batch_size: int) -> list[int]:
    """How many examples each batch of an epoch has.

    The last batch may be smaller. A single row that is left over joins the batch before it, because batch normalization
    has no variance of one row.
    """
    sizes = [batch_size] * (rows // batch_size)
    rest = rows % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def drawing(epoch: int, seed: int) -> torch.Generator:
    """What an epoch's order is drawn from."""
    return torch.Generator().manual_seed((seed + epoch * _GOLDEN) % (1 << 63))


def order(rows: int, epoch: int, seed: int) -> torch.Tensor:
    """All rows of an epoch in its order, as int64 indices."""
    return torch.randperm(rows, generator=drawing(epoch, seed))


def batches(rows: int, batch_size: int, epoch: int, seed: int) -> Iterator[torch.Tensor]:
    """The rows of each batch of an epoch, as int64 indices in an order that follows from the seed."""
    yield from torch.split(order(rows, epoch, seed), batch_sizes(rows, batch_size))
