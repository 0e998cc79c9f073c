"""What `fedzmq train --json` prints: lines of JSON on the standard output, and words on the standard error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fedzmq.federation.display import Display
from fedzmq.federation.printable import printable

if TYPE_CHECKING:
    from fedzmq.federated.report import RoundReport


class JsonDisplay(Display):
    """A line for each round, and one for what is left behind."""

    def say(self, line: str) -> None:
        click.echo(printable(line), err=True)

    def show(self, report: RoundReport) -> None:
        click.echo(report.to_json())

    def finish(self, last: RoundReport, folder: str | None, written: Sequence[str]) -> None:
        click.echo(json.dumps({"folder": folder, "files": list(written)}))
