"""Who holds which examples of a data set that everybody could read: a held-out share, and a part for each worker.

A part follows from the seed alone, so that workers split one set between them without a word, each in its own process.
"""

from __future__ import annotations

import numpy as np
import torch

from fedzmq.data.data import targets_of
from fedzmq.data.examples import Examples
from fedzmq.errors import DataError

# Each draw has a stream of its own: what is held out must not depend on how the rest is split.
_HOLD_OUT, _SPLIT = 1, 2


def hold_out(data: Examples, fraction: float = 0.1, seed: int = 0) -> tuple[Examples, Examples]:
    """What remains for training, and a random share for evaluation: at least one example each, in the set's order."""
    rows = len(data)
    if not 0 < fraction < 1:
        raise DataError(data.name, f"the share to hold out is {fraction:g}, and it must lie between 0 and 1")
    if rows < 2:
        raise DataError(data.name, "it has 1 example, and 2 are needed: one to train on and one to evaluate")
    held = min(max(round(rows * fraction), 1), rows - 1)
    order = torch.from_numpy(_stream(seed, _HOLD_OUT).permutation(rows))
    return data.rows(order[held:].sort().values), data.rows(order[:held].sort().values)


def iid(rows: int, parts: int, seed: int) -> list[torch.Tensor]:
    """The rows dealt out at random, every part as large as the next or one larger."""
    order = torch.from_numpy(_stream(seed, _SPLIT).permutation(rows))
    return [part.sort().values for part in order.tensor_split(parts)]


def dirichlet(
    targets: torch.Tensor, parts: int, alpha: float, seed: int, minimum: int = 1, name: str = "targets"
) -> list[torch.Tensor]:
    """Rows by part where each class is shared out in proportions drawn from Dirichlet(alpha, ..., alpha).

    A small alpha gives parts that hold few classes and differ in size, a large one approaches an even split
    (Yurochkin et al. 2019, arXiv:1905.12022; Li et al. 2022, arXiv:2102.02079. Hsu et al. 2019, arXiv:1909.06335, draw
    the other way round, each part's mix of classes). Every row is in exactly one part; a part that came out smaller
    than `minimum` is filled up from the largest. Targets that are not classes are dealt out evenly.
    Errors call the set `name`.
    """
    rows = len(targets)
    if not alpha > 0:
        raise DataError(name, f"alpha is {alpha:g}, and it must be above 0: 0.1 skews much, 100 hardly at all")
    if rows < parts * minimum:
        raise DataError(
            name, f"{rows} examples cannot give {parts} workers at least {minimum} each; ask for fewer workers"
        )
    if targets.is_floating_point():
        return iid(rows, parts, seed)
    stream = _stream(seed, _SPLIT)
    owner = np.empty(rows, dtype=np.int64)
    classes = targets.numpy()
    for label in np.unique(classes):
        members = stream.permutation(np.flatnonzero(classes == label))
        # Rounding the cumulative shares, and not each, loses and doubles no row.
        ends = np.rint(np.cumsum(_shares(stream, parts, alpha))[:-1] * len(members)).astype(np.int64)
        for number, taken in enumerate(np.split(members, ends)):
            owner[taken] = number
    sizes = np.bincount(owner, minlength=parts)
    while sizes.min() < minimum:
        poorest, richest = int(sizes.argmin()), int(sizes.argmax())
        given = stream.choice(np.flatnonzero(owner == richest))
        owner[given] = poorest
        sizes[richest] -= 1
        sizes[poorest] += 1
    return [torch.from_numpy(np.flatnonzero(owner == number)) for number in range(parts)]


def part(
    data: Examples, number: int, of: int, alpha: float, seed: int, fraction: float = 0.1, minimum: int = 1
) -> Examples:
    """What worker `number` of `of` holds, counted from 1, once the held-out share is taken away."""
    if not 1 <= number <= of:
        raise DataError(data.name, f"part {number} of {of} is not there; parts count from 1 to {of}")
    kept, _ = hold_out(data, fraction, seed)
    return kept.rows(dirichlet(targets_of(kept), of, alpha, seed, minimum, data.name)[number - 1])


def _stream(seed: int, purpose: int) -> np.random.RandomState:
    # RandomState, because its draws are frozen for all releases of NumPy (NEP 19), and workers may have different ones.
    return np.random.RandomState([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, purpose])


def _shares(stream: np.random.RandomState, parts: int, alpha: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """One draw from a symmetric Dirichlet, as normalised gammas."""
    weights = stream.standard_gamma(alpha, size=parts)
    total = weights.sum()
    if total == 0:
        # A tiny alpha underflows; its limit is that one part takes all.
        weights[stream.randint(parts)] = total = 1.0
    shares: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / total
    return shares
