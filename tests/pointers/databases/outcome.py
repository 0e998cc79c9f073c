"""What the comparison of one entry of a database came to, and the table of many."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from fedzmq.errors import FedzmqError, NeedsValueError, OperationRefused, TensorsNotCollocatedException

Verdict = Literal["equal", "refused", "outside", "wrong"]
REFUSALS = (OperationRefused, NeedsValueError, TensorsNotCollocatedException)


class Different(AssertionError):
    """The two runs differ, or the client's idea of a result and the worker's do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`samples` were compared, of which the last one is told of in `text` unless all were equal."""

    name: str
    verdict: Verdict
    text: str = ""
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Many entries, compared in one way."""

    label: str
    outcomes: Iterator[Outcome]


def compared(name: str, samples: Iterable[tuple[str, Callable[[], None]]]) -> Outcome:
    """Of an entry, the worst: a refusal where something is refused, and wrong where something is wrong."""
    refused, count = "", 0
    for summary, compare in samples:
        count += 1
        try:
            compare()
        except REFUSALS as error:
            refused = refused or f"{summary}: {error}"
        except (AssertionError, FedzmqError) as error:
            return Outcome(name, "wrong", f"{summary}: {error}", count)
    return Outcome(name, "refused" if refused else "equal", refused, count)


def table(runs: Iterable[Run], show: Callable[[str], None]) -> int:
    """Show every run with its counts, and before it what was not equal. Returns how many were wrong."""
    show(f"{'':44}{'equal':>8}{'refused':>9}{'outside':>9}{'wrong':>7}{'samples':>9}{'seconds':>9}")
    wrong = 0
    for run in runs:
        started, counts, samples = time.monotonic(), Counter[str](), 0
        for outcome in run.outcomes:
            counts[outcome.verdict] += 1
            samples += outcome.samples
            if outcome.verdict in ("refused", "wrong"):
                show(f"  {outcome.verdict} {outcome.name}: {outcome.text}")
        wrong += counts["wrong"]
        show(
            f"{run.label:44}{counts['equal']:8}{counts['refused']:9}{counts['outside']:9}{counts['wrong']:7}"
            f"{samples:9}{time.monotonic() - started:9.0f}"
        )
    return wrong
