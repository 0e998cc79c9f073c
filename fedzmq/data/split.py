"""How a data set is split, as the command line says it: a name, and the numbers that go with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from fedzmq.errors import UsageError

if TYPE_CHECKING:
    from fedzmq.data.partitioners.partitioner import Partitioner

ALPHA = 1.0
HELD_OUT = 0.1
"""The share of a set that nobody trains on, where nothing else is said."""

AUTO = "auto"
WAYS = (AUTO, "iid", "dirichlet", "shards", "classes", "quantity", "powerlaw", "column")
"""The names, for those who do without torch; the partitioners behind all but AUTO are in `fedzmq.data.partitioners`."""


@dataclass(frozen=True, slots=True)
class Split:
    """Each way takes what it has a use for: `alpha` is for dirichlet and quantity, `per_worker` for shards and classes,
    `exponent` for powerlaw, and `column` for column. The same `seed` gives the same split. AUTO is dirichlet, and iid
    for measurements, which have no labels to skew; an `alpha` asks for dirichlet.
    """

    how: str = AUTO
    alpha: float = ALPHA
    per_worker: int = 2
    exponent: float = 1.0
    column: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.how == "column" and self.column is None:
            raise UsageError("say by which column to split: --column NAME, or Split('column', column='NAME')")

    def fitting(self, classes: int | None) -> Split:
        """The way itself, for targets of so many classes, or for measurements: never AUTO."""
        if self.how != AUTO:
            return self
        return replace(self, how="dirichlet" if classes is not None or self.alpha != ALPHA else "iid")

    def partitioner(self) -> Partitioner:
        """Raises UsageError for a name that there is not, and for AUTO."""
        from fedzmq.data.partitioners.table import by_name

        return by_name(self.how, **asdict(self))

    def arguments(self) -> list[str]:
        """What tells `fedzmq worker` the same."""
        found = ["--how", self.how, "--alpha", str(self.alpha), "--per-worker", str(self.per_worker)]
        found += ["--exponent", str(self.exponent), "--split-seed", str(self.seed)]
        return found if self.column is None else [*found, "--column", self.column]
