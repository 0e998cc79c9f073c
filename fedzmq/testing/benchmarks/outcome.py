"""What a figure came to, and what was wanted of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

THROUGH_THE_BROKER = "  the same through the broker"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a ratio, or a size, should keep to: `at_least` from below, else from above."""

    value: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value


@dataclass(frozen=True, slots=True)
class Turns:
    """What two sides came to, turn by turn: seconds, until `to` makes another unit of them.

    `theirs` is empty where nobody was there to compare with; `why` says so where somebody should have been.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    why: str = ""

    def to(self, unit: Callable[[float], float]) -> Turns:
        return Turns(tuple(map(unit, self.ours)), tuple(map(unit, self.theirs)), self.why)


def milliseconds(seconds: float) -> float:
    return seconds * 1e3


def microseconds(seconds: float) -> float:
    return seconds * 1e6


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table: medians of repeats that took turns with the peer's.

    `compared` is what `bound` is about: `ours` over `theirs`, or a size. It is None where there was nothing to compare
    with. `spread` is from where to where that ratio went, turn by turn. `extra` holds what else was measured on the
    way, by a name that says the unit. `why` is the reason where a side, or the whole figure, could not be measured.
    """

    figure: str
    what: str
    unit: str
    ours: float | None
    peer: str = ""
    theirs: float | None = None
    bound: Bound | None = None
    compared: float | None = None
    spread: tuple[float, float] | None = None
    extra: Mapping[str, float] = field(default_factory=dict)
    why: str = ""

    @property
    def is_met(self) -> bool | None:
        """None where nothing was wanted, or nothing was there to compare with."""
        if self.bound is None or self.compared is None:
            return None
        return self.bound.holds(self.compared)


def beside(figure: str, what: str, unit: str, turns: Turns, peer: str, bound: Bound | None = None) -> Outcome:
    """An outcome that is compared with a peer's, where the peer was there."""
    ours = statistics.median(turns.ours)
    if not turns.theirs:
        return Outcome(figure, what, unit, ours, peer if turns.why else "", bound=bound, why=turns.why)
    theirs = statistics.median(turns.theirs)
    ratios = [one / other for one, other in zip(turns.ours, turns.theirs, strict=True)]
    spread = (min(ratios), max(ratios))
    return Outcome(figure, what, unit, ours, peer, theirs, bound, ours / theirs, spread)
