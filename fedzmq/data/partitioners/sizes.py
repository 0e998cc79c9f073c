"""Quantity skew: rows dealt out at random, to workers that hold more or fewer of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from fedzmq.data.partitioners.partitioner import (
    Marks,
    Partitioner,
    Rows,
    Shares,
    check_alpha,
    dealt,
    dirichlet_shares,
)
from fedzmq.errors import DataError


class Sizes(Partitioner):
    """Sizes by shares; every worker has at least one example."""

    __slots__ = ()

    @abstractmethod
    def shares(self, name: str, parts: int, stream: np.random.RandomState) -> Shares:
        """How much of the whole each worker holds: they sum to 1. Raises DataError."""

    def owners(self, marks: Marks, parts: int, stream: np.random.RandomState) -> Rows:
        shares = self.shares(marks.name, parts, stream)
        ends = np.rint(np.cumsum(shares) * (len(marks) - parts)).astype(np.int64)
        sizes = np.diff(ends, prepend=0) + 1
        sizes[-1] += len(marks) - sizes.sum()  # what the rounding of the last sum may have left
        owners = np.empty(len(marks), dtype=np.int64)
        dealt(stream.permutation(len(marks)), sizes, owners)
        return owners


@dataclass(frozen=True, slots=True)
class Quantity(Sizes):
    """Shares drawn from Dirichlet(alpha, ..., alpha): Li et al. 2022 (arXiv:2102.02079, section 4.3)."""

    alpha: float = 1.0

    def shares(self, name: str, parts: int, stream: np.random.RandomState) -> Shares:
        check_alpha(name, self.alpha)
        return dirichlet_shares(stream, parts, self.alpha)


@dataclass(frozen=True, slots=True)
class PowerLaw(Sizes):
    """The k-th largest share is in proportion to k to the power of -exponent, and who holds it is drawn.

    Li et al. 2020 (FedProx, arXiv:1812.06127, appendix C.1) let sizes follow a power law.
    """

    exponent: float = 1.0

    def shares(self, name: str, parts: int, stream: np.random.RandomState) -> Shares:
        if not 0 <= self.exponent <= 100:
            raise DataError(name, f"the exponent is {self.exponent:g}, and it must lie between 0 (equal sizes) and 100")
        weights = np.arange(1, parts + 1, dtype=np.float64) ** -self.exponent
        shares: Shares = stream.permutation(weights / weights.sum())
        return shares
