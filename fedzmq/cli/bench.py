"""`fedzmq bench`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import click
from rich.console import Console

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.table import table
from fedzmq.cli.values import Count, Word, broker_address
from fedzmq.data.own_code import one_line
from fedzmq.errors import FedzmqError, UsageError
from fedzmq.federation.printable import printable
from fedzmq.testing.benchmarks.effort import QUICK, Effort
from fedzmq.testing.benchmarks.figures import FIGURES, OF_ITS_OWN, ON_REQUEST
from fedzmq.testing.benchmarks.outcome import Outcome
from fedzmq.testing.benchmarks.site import Site

_HEADING = ("figure", "fedzmq", "peer", "ratio", "by turns", "wanted", "", "")


@click.command("bench")
@click.argument("names", nargs=-1, metavar="[NAME]...", type=Word(list(FIGURES)))
@click.option(
    "--broker",
    callback=broker_address,
    metavar="ADDRESS",
    help="Measure at a broker that is running, without the peers: what fedzmq does over your own link.",
)
@click.option("--worker", metavar="NAME", help="Who computes at that broker (default: the first by name).")
@click.option("--steps", type=Count(), metavar="N", help="Steps of the long run.  [default: 100000]")
@click.option("--repeats", type=Count(), metavar="N", help="Turns of each side, of which the median counts.")
@click.option("--quick", is_flag=True, help="Only see that everything works: the numbers mean nothing.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each figure.")
def command(
    names: tuple[str, ...],
    broker: str | None,
    worker: str | None,
    steps: int | None,
    repeats: int | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Measure fedzmq beside plain torch, torch.distributed.rpc and raw pyzmq, on this machine and in one run.

    NAME is any of: operations, training, virtual, plan, get, transfer, fold, round, endurance (default: all), and
    crowd, broadcast and coordinator, which take dozens of processes. Each side takes its turn and medians are compared,
    so quote the ratios: the absolute numbers are this machine's, at this moment.
    """
    on_signal(interrupt)
    effort = QUICK if quick else Effort()
    if steps is not None:
        effort = replace(effort, endurance=steps)
    if repeats is not None:
        effort = replace(effort, repeats=repeats)
    outcomes: list[Outcome] = []
    failed: list[str] = []
    try:
        for outcome in _measured(_chosen(names, broker), effort, broker, worker, failed):
            outcomes.append(outcome)
            if as_json:
                click.echo(json.dumps({**asdict(outcome), "met": outcome.is_met}))
    finally:  # what was measured until Ctrl-C, too
        if outcomes and not as_json:
            click.echo("\n".join(table(_HEADING, [_row(each) for each in outcomes])))
    if failed:
        raise FedzmqError(f"this could not be measured: {', '.join(failed)}")


def _chosen(names: tuple[str, ...], broker: str | None) -> tuple[str, ...]:
    """Each once. Raises UsageError for those that cannot be measured there."""
    apart = OF_ITS_OWN if broker is not None else frozenset()
    if lost := [name for name in names if name in apart]:
        raise UsageError(f"{', '.join(lost)}: measured at a broker of its own alone: leave --broker out")
    return tuple(dict.fromkeys(names)) or tuple(each for each in FIGURES if each not in ON_REQUEST | apart)


def _measured(
    names: tuple[str, ...], effort: Effort, broker: str | None, worker: str | None, failed: list[str]
) -> Iterator[Outcome]:
    """One after another. What fails is told as such, and is among `failed` then: others may well go."""
    status = Console(stderr=True)
    with status.status("starting") as shown, Site(effort, broker, worker) as site:
        for name in names:
            shown.update(f"measuring: {name}")
            try:
                yield from FIGURES[name](site)
            except (FedzmqError, OSError) as error:
                failed.append(name)
                yield Outcome(name, name, "", None, why=one_line(error))


def _row(outcome: Outcome) -> tuple[str, ...]:
    ours = f"{_number(outcome.ours)} {outcome.unit}"
    theirs = f"{_number(outcome.theirs)}  {outcome.peer}" if outcome.peer else ""
    ratio = "" if outcome.theirs is None or outcome.compared is None else f"{outcome.compared:.2f}"
    spread = "" if outcome.spread is None else "{:.2f} to {:.2f}".format(*outcome.spread)
    bound = outcome.bound
    wanted = "" if bound is None else f"{'at least' if bound.at_least else 'at most'} {bound.value:g}"
    met = {None: "", True: "met", False: "missed"}[outcome.is_met]
    details = [f"{name.removesuffix(' MiB')} {value:g}" for name, value in outcome.extra.items()]
    told = printable(", ".join(filter(None, [*details, outcome.why])))
    return outcome.what, ours, theirs, ratio, spread, wanted, met, told


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
