"""What a figure came to, and what was wanted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bound:
    """What a ratio, or a size, should keep to: `at_least` from below, else from above."""

    value: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table: medians of repeats that took turns with the peer's.

    `compared` is what `bound` is about: `ours` over `theirs`, or a size. It is None where there was nothing to compare
    with. `extra` holds what else was measured on the way, by a name that says the unit.
    """

    figure: str
    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    bound: Bound | None = None
    compared: float | None = None
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """None where nothing was wanted, or nothing was there to compare with."""
        if self.bound is None or self.compared is None:
            return None
        return self.bound.holds(self.compared)


def beside(
    figure: str,
    what: str,
    unit: str,
    ours: float,
    peer: str,
    theirs: float | None,
    bound: Bound | None,
    extra: Mapping[str, float] | None = None,
) -> Outcome:
    """An outcome that is compared with a peer's, where the peer was there."""
    ratio = None if theirs is None else ours / theirs
    return Outcome(
        figure, what, unit, ours, peer if theirs is not None else "", theirs, bound, ratio, dict(extra or {})
    )
