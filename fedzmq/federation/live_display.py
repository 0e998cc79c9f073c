"""What people see of a training: lines that stay, and below them one that moves where it can.

In a notebook, rich writes HTML; the moving line needs ipywidgets there, and without it each round has a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fedzmq.federated.report import WIDTH
from fedzmq.federation.display import Display
from fedzmq.federation.printable import printable

if TYPE_CHECKING:
    from fedzmq.federated.report import RoundReport
    from fedzmq.wire import messages

_MEANINGS = {
    "model.safetensors": "the model",
    "rounds.jsonl": "what happened in each round",
    "job.toml": "what was asked for",
}
_STATUS = 44  # characters beside the bar, so that the line fits into 100 columns


class LiveDisplay(Display):
    """The moving line tells of the round that runs. With `lines`, each round leaves one that stays."""

    def __init__(self, rounds: int, console: Console | None = None, *, lines: bool = True) -> None:
        # Where there is no terminal, in a file or a pipe, a line is not broken.
        self._console = console or Console(highlight=False, soft_wrap=not Console().is_terminal)
        self._width = WIDTH if console is None and not self._console.is_terminal else self._console.width
        self._lines = lines
        self._progress = Progress(
            TextColumn("round"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
            transient=True,
            disable=not can_move(self._console),
        )
        self._of = rounds
        self._has_accuracy = False
        self._rounds = self._progress.add_task("", total=rounds, status="waiting for workers")

    def say(self, line: str) -> None:
        self._print(line)

    def hear(self, worker: str, progress: messages.Progress) -> None:
        if self._lines:  # else the line tells of the last round, which nothing else does
            done = f"{worker}: epoch {progress.epoch + 1}, step {progress.step} of {progress.steps}"
            self._progress.update(self._rounds, status=f"{done}, loss {progress.loss:.4f}"[:_STATUS])

    def show(self, report: RoundReport) -> None:
        self._has_accuracy |= report.accuracy is not None
        if self._lines:
            self._print(report.line(self._of, self._width))
        status = "" if self._lines else report.score()
        self._progress.update(self._rounds, completed=report.round, status=status)

    def finish(self, last: RoundReport, folder: str | None, written: Sequence[str]) -> None:
        self.close()
        accuracy = "" if last.accuracy is None else f"accuracy {last.accuracy:.4f} "
        many = f"{self._of} round" if self._of == 1 else f"{self._of} rounds"
        rounds = many if last.round == self._of else f"{last.round} of {many}"
        space = "\n" if self._lines else ""
        if last.evaluated:
            self._console.print(_table(last))
        self._print(f"{space}{accuracy}after {rounds}" + ("" if folder is None else f"; the run is in {folder}"))
        has_accuracy = self._has_accuracy or last.accuracy is not None
        meanings = {**_MEANINGS, "plot.png": "loss and accuracy by round" if has_accuracy else "loss by round"}
        for name in written:
            self._print(f"  {name:<18} {meanings.get(name, '')}")

    def close(self) -> None:
        self._progress.stop()

    def __enter__(self) -> LiveDisplay:
        self._progress.start()
        return self

    def _print(self, line: str) -> None:
        self._console.print(printable(line), markup=False)


def _table(report: RoundReport) -> Table:
    """What every worker found of the model, and all of them together."""
    rows = [*report.evaluated, *([] if report.together is None else [report.together])]
    figures = [one.figures() for one in rows]
    names = list(dict.fromkeys(name for each in figures for name in each))
    table = Table("worker", "examples", *names, title=f"the model of round {report.round} at the workers", box=SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for one, each in zip(rows, figures, strict=True):
        numbers = (f"{each[name]:.4f}" if name in each else "" for name in names)
        table.add_row(
            escape(printable(one.worker)), str(one.examples), *numbers, end_section=one is report.evaluated[-1]
        )
    return table


def can_move(console: Console) -> bool:
    """Whether a line can be written over."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def display_for(rounds: int, wanted: bool | None) -> Display:
    """What a training in Python shows: nothing where nobody looks, unless it is wanted."""
    console = Console(highlight=False)
    if wanted is None:
        wanted = console.is_terminal or console.is_jupyter
    if not wanted:
        return Display()
    return LiveDisplay(rounds, lines=not can_move(console))
