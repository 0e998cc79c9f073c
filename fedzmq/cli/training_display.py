"""What `fedzmq train` shows while it runs: a line per round, and what it waits for."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click

from fedzmq.cli.printable import printable

if TYPE_CHECKING:
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

    @abstractmethod
    def hear(self, worker: str, progress: messages.Progress) -> None:
        """A worker says how far it has come in its round."""

    @abstractmethod
    def close(self) -> None:
        """Leave the terminal as it was found. Twice is fine."""

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonDisplay(TrainingDisplay):
    """Lines of JSON on the standard output, and words on the standard error."""

    def say(self, line: str) -> None:
        click.echo(printable(line), err=True)

    def show(self, report: RoundReport) -> None:
        click.echo(report.to_json())

    def finish(self, folder: str, written: Sequence[str], last: RoundReport) -> None:
        click.echo(json.dumps({"folder": folder, "files": list(written)}))

    def hear(self, worker: str, progress: messages.Progress) -> None:
        return

    def close(self) -> None:
        return
