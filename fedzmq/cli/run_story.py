"""What happened in a run, in the order in which it happened."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from fedzmq.federated.ledger.record import Sitting
from fedzmq.federated.ledger.run_history import RUNNING, RunHistory
from fedzmq.federated.report import WIDTH, RoundReport


def story(history: RunHistory, reports: Sequence[RoundReport], options: Mapping[str, str]) -> Iterator[str]:
    """Line by line. `options` are the run's own, by name."""
    yield f"run {history.name}: {history.state} after round {history.done} of {history.rounds}"
    for name, value in options.items():
        yield f"  {name:<16} {value}"
    places = iter([*reports, None])
    report = next(places)
    for number, sitting in enumerate(history.sittings):
        while report is not None and report.round <= sitting.after:
            yield from _round(report, history.rounds)
            report = next(places)
        yield _beginning(sitting)
        until = history.sittings[number + 1].after if number + 1 < len(history.sittings) else history.done
        while report is not None and report.round <= until:
            yield from _round(report, history.rounds)
            report = next(places)
        is_last = number + 1 == len(history.sittings)
        if history.opened is not None and is_last:
            yield f"round {history.opened.round} was under way: {', '.join(history.opened.workers)}"
        if not (is_last and history.state == RUNNING):
            yield _ending(sitting)


def when(seconds: float) -> str:
    """A time as people write it, in their time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _beginning(sitting: Sitting) -> str:
    what = f"went on after round {sitting.after}" if sitting.after else "began"
    return f"{when(sitting.began)}  process {sitting.process} on {sitting.host} {what}"


def _ending(sitting: Sitting) -> str:
    if sitting.ended is None:
        return f"{' ' * 19}  it was killed"
    return f"{when(sitting.ended)}  {sitting.ending}"


def _round(report: RoundReport, of: int) -> Iterator[str]:
    yield "  " + report.line(of, WIDTH)
    for absence in report.failed:
        yield f"      {absence.worker}: {absence.reason}"
