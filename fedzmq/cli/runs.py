"""`fedzmq runs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fedzmq.cli import train
from fedzmq.cli.job_file import defaults_of
from fedzmq.cli.run_options import labels_of, options_of, told_of
from fedzmq.cli.run_story import story, when
from fedzmq.cli.table import table
from fedzmq.cli.values import Word
from fedzmq.errors import RunFolderError
from fedzmq.federated.ledger.run_history import (
    FAILED,
    INTERRUPTED,
    RUNS,
    RunHistory,
    find_run,
    read_history,
    read_reports,
    runs_in,
    way_on,
)
from fedzmq.federated.pictures.canvas import form_of
from fedzmq.federated.report import RoundReport
from fedzmq.federation.printable import printable

_HEADING = ("run", "state", "rounds", "accuracy", "last heard of")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("runs", invoke_without_command=True, short_help="Runs of `fedzmq train`: list, show, plot.")
@click.option(
    "--in",
    "folder",
    type=click.Path(path_type=Path),
    default=RUNS,
    show_default=True,
    metavar="FOLDER",
    help="Where the runs are.",
)
@_JSON
@click.pass_context
def command(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Say what runs there are, the latest first.

    A RUN is its folder, or its name in runs/.
    """
    if folder != RUNS and not folder.is_dir():
        raise RunFolderError(str(folder), "there is no such folder; --in names one that runs are in")
    ctx.obj = folder
    if ctx.invoked_subcommand is not None:
        return
    found, damaged = [], []
    for path in runs_in(folder):
        try:
            found.append(read_history(path))
        except RunFolderError as error:
            damaged.append(str(error))
    found.sort(key=lambda history: history.began, reverse=True)
    if as_json:
        for history in found:
            click.echo(json.dumps(_summary(history)))
    elif found:
        for line in table(_HEADING, [_row(history) for history in found]):
            click.echo(printable(line))
    else:
        click.echo(f"no runs in {folder}/")
    for line in damaged:
        click.echo(printable(line), err=True)


@command.command()
@click.argument("run")
@_JSON
@click.pass_obj
def show(folder: Path, run: str, as_json: bool) -> None:
    """Tell what happened in a run, round by round: who failed, and why."""
    history = read_history(find_run(run, folder))
    reports = read_reports(history.path)
    if as_json:
        click.echo(json.dumps(_whole(history, reports), indent=2))
        return
    for line in story(history, reports, told_of(history, defaults_of(train.command))):
        click.echo(printable(line))
    if history.state in (INTERRUPTED, FAILED) and history.job:
        click.echo(f"go on with: {way_on(history.path)}")


@command.command()
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the picture goes: a .png, .svg or .pdf.  [default: runs.png where the runs are]",
)
@click.option(
    "--by",
    type=Word(["rounds", "seconds", "bytes"]),
    default="rounds",
    show_default=True,
    help="What the runs are held against.",
)
@click.pass_obj
def plot(folder: Path, runs: tuple[str, ...], out: Path | None, by: str) -> None:
    """Draw several runs in one picture, with what differs in how they were configured."""
    out = out or folder / "runs.png"
    form = form_of(out)
    histories = [read_history(find_run(run, folder)) for run in runs]
    labels = labels_of(histories)
    from fedzmq.federated.pictures.comparison import Curve, draw_comparison

    picture = draw_comparison(
        [Curve(label, read_reports(each.path)) for label, each in zip(labels, histories, strict=True)],
        by,
        form,
    )
    try:
        out.write_bytes(picture)
    except OSError as error:
        raise RunFolderError(str(out.parent), f"{out.name} cannot be written: {error.strerror}") from error
    click.echo(f"{len(histories)} {'run is' if len(histories) == 1 else 'runs are'} drawn in {out}")


def _row(history: RunHistory) -> tuple[str, ...]:
    last = history.last
    accuracy = "" if last is None or last.accuracy is None else f"{last.accuracy:.4f}"
    times = [each for each in (history.committed, *(sitting.ended for sitting in history.sittings)) if each]
    return (
        history.name,
        history.state,
        f"{history.done}/{history.rounds}",
        accuracy,
        when(max(times, default=history.began)),
    )


def _summary(history: RunHistory) -> dict[str, Any]:
    last = history.last
    return {
        "name": history.name,
        "folder": str(history.path),
        "state": history.state,
        "rounds": history.done,
        "of": history.rounds,
        "accuracy": None if last is None else last.accuracy,
        "began": history.began,
        "committed": history.committed,
    }


def _whole(history: RunHistory, reports: Sequence[RoundReport]) -> dict[str, Any]:
    return {
        **_summary(history),
        "options": options_of(history),
        "sittings": [sitting._asdict() for sitting in history.sittings],
        "opened": None if history.opened is None else asdict(history.opened),
        "reports": [json.loads(report.to_json()) for report in reports],
    }
