"""What `fedzmq train` shows to people: lines that stay, and below them one that moves where there is a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fedzmq.cli.printable import printable
from fedzmq.cli.training_display import TrainingDisplay

if TYPE_CHECKING:
    from fedzmq.federated.report import RoundReport
    from fedzmq.wire import messages

_MEANINGS = {
    "model.safetensors": "the model",
    "plot.png": "loss and accuracy by round",
    "rounds.jsonl": "what happened in each round",
    "job.toml": "what was asked for",
}
_STATUS = 44  # characters beside the bar, so that the line fits into 100 columns


class LiveDisplay(TrainingDisplay):
    """A line that stays for each round, and below it a live one for the round that runs."""

    def __init__(self, rounds: int, console: Console | None = None) -> None:
        # Where there is no terminal, in a file or a pipe, a line is not broken.
        self._console = console or Console(highlight=False, soft_wrap=not Console().is_terminal)
        self._progress = Progress(
            TextColumn("round"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._of = rounds
        self._rounds = self._progress.add_task("", total=rounds, status="waiting for workers")

    def say(self, line: str) -> None:
        self._print(line)

    def hear(self, worker: str, progress: messages.Progress) -> None:
        done = (
            f"{worker}: epoch {progress.epoch + 1}, step {progress.step} of {progress.steps}, loss {progress.loss:.4f}"
        )
        self._progress.update(self._rounds, status=done[:_STATUS])

    def show(self, report: RoundReport) -> None:
        self._print(self._line(report))
        self._progress.update(self._rounds, advance=1, status="")

    def finish(self, folder: str, written: Sequence[str], last: RoundReport) -> None:
        self.close()
        accuracy = "" if last.accuracy is None else f"accuracy {last.accuracy:.4f} "
        rounds = f"{last.round} rounds" if last.round == self._of else f"{last.round} of {self._of} rounds"
        self._print(f"\n{accuracy}after {rounds}; the run is in {folder}")
        for name in written:
            self._print(f"  {name:<18} {_MEANINGS.get(name, '')}")

    def close(self) -> None:
        self._progress.stop()

    def __enter__(self) -> LiveDisplay:
        self._progress.start()
        return self

    def _print(self, line: str) -> None:
        self._console.print(printable(line), markup=False)

    def _line(self, report: RoundReport) -> str:
        loss = report.loss if math.isfinite(report.loss) else report.train_loss
        accuracy = "" if report.accuracy is None else f"accuracy {report.accuracy:.4f}  "
        begin = (
            f"round {report.round:{len(str(self._of))}d}/{self._of}  loss {loss:.4f}  {accuracy}"
            f"{report.seconds:6.2f} s  {_bytes(report.bytes_sent + report.bytes_received):>9}  "
        )
        failed = f"; without {', '.join(absence.worker for absence in report.failed)}" if report.failed else ""
        names = ", ".join(answer.worker for answer in report.answered)
        if len(begin) + len(names) + len(failed) > self._console.width:
            names = f"{len(report.answered)} workers"
        return begin + names + failed


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
