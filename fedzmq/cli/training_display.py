"""What `fedzmq train` shows while it runs: a line per round, and what it waits for."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fedzmq.federated.report import RoundReport
from fedzmq.wire import messages


class TrainingDisplay(ABC):
    """Open while the training runs. Any method may be called from any thread."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Something is waited for, or went wrong and the training goes on."""

    @abstractmethod
    def show(self, report: RoundReport) -> None:
        """A round is over."""

    @abstractmethod
    def finish(self, folder: str, written: Sequence[str], last: RoundReport) -> None:
        """The training is over, and what it leaves behind is in a folder."""

    def hear(self, worker: str, progress: messages.Progress) -> None:
        """A worker says how far it has come in its round."""

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class JsonDisplay(TrainingDisplay):
    """Lines of JSON on the standard output, and words on the standard error."""

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    def show(self, report: RoundReport) -> None:
        click.echo(report.to_json())

    def finish(self, folder: str, written: Sequence[str], last: RoundReport) -> None:
        click.echo(json.dumps({"folder": folder, "files": list(written)}))


class LiveDisplay(TrainingDisplay):
    """A line that stays for each round, and below it a live one for the round that runs."""

    def __init__(self, rounds: int) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._rounds = self._progress.add_task("rounds", total=rounds, status="waiting for workers")

    def say(self, line: str) -> None:
        self._progress.print(line, markup=False)

    def hear(self, worker: str, progress: messages.Progress) -> None:
        status = f"{worker}: epoch {progress.epoch + 1}, step {progress.step}/{progress.steps}, loss {progress.loss:.4f}"
        self._progress.update(self._rounds, status=status)

    def show(self, report: RoundReport) -> None:
        self._progress.print(_line(report), markup=False)
        self._progress.update(self._rounds, advance=1, status="")

    def finish(self, folder: str, written: Sequence[str], last: RoundReport) -> None:
        self._progress.stop()
        self._progress.print(f"\nin {folder}: {', '.join(written)}", markup=False)

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def _line(report: RoundReport) -> str:
    accuracy = "" if report.accuracy is None else f"  accuracy {report.accuracy:.4f}"
    moved = _bytes(report.bytes_sent + report.bytes_received)
    answered = ", ".join(f"{answer.worker} ({answer.examples})" for answer in report.answered)
    failed = "".join(f"; without {absence.worker}" for absence in report.failed)
    loss = report.loss if report.loss == report.loss else report.train_loss
    return f"round {report.round:3d}  loss {loss:.4f}{accuracy}  {report.seconds:.2f} s  {moved}  {answered}{failed}"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
