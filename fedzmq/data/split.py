"""How a data set is split, as the command line says it: a name, and the numbers that go with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fedzmq.errors import UsageError

if TYPE_CHECKING:
    from fedzmq.data.partitioners.partitioner import Partitioner

HELD_OUT = 0.1
"""The share of a set that nobody trains on, where nothing else is said."""

WAYS = ("iid", "dirichlet", "shards", "classes", "quantity", "powerlaw", "column")
"""The names, for those who do without torch; the partitioners behind them are in `fedzmq.data.partitioners`."""


@dataclass(frozen=True, slots=True)
class Split:
    """Each way takes what it has a use for: `alpha` is for dirichlet and quantity, `per_worker` for shards and classes,
    `exponent` for powerlaw, and `column` for column. The same `seed` gives the same split.
    """

    how: str = "dirichlet"
    alpha: float = 1.0
    per_worker: int = 2
    exponent: float = 1.0
    column: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.how == "column" and self.column is None:
            raise UsageError("say by which column to split: --column NAME, or Split('column', column='NAME')")

    def partitioner(self) -> Partitioner:
        """Raises UsageError for a name that there is not."""
        from fedzmq.data.partitioners.table import by_name

        return by_name(self.how, **asdict(self))

    def arguments(self) -> list[str]:
        """What tells `fedzmq worker` the same."""
        found = ["--how", self.how, "--alpha", str(self.alpha), "--per-worker", str(self.per_worker)]
        found += ["--exponent", str(self.exponent), "--split-seed", str(self.seed)]
        return found if self.column is None else [*found, "--column", self.column]
