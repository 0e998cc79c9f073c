"""`fedzmq bench`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import click
from rich.console import Console
from rich.table import Table

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.values import Count, Word, broker_address
from fedzmq.testing.benchmarks.effort import QUICK, Effort
from fedzmq.testing.benchmarks.figures import FIGURES, ON_REQUEST
from fedzmq.testing.benchmarks.outcome import Outcome
from fedzmq.testing.benchmarks.site import Site


@click.command("bench")
@click.argument("names", nargs=-1, metavar="[NAME]...", type=Word(list(FIGURES)))
@click.option(
    "--broker",
    callback=broker_address,
    metavar="ADDRESS",
    help="Measure at a broker that is running, without the peers: what fedzmq does over your own link.",
)
@click.option("--worker", metavar="NAME", help="Who computes at that broker (default: the first by name).")
@click.option("--steps", type=Count(), metavar="N", help="Steps of the long run.  [default: 10000]")
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
    outcomes = _measured(names or tuple(each for each in FIGURES if each not in ON_REQUEST), effort, broker, worker)
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps({**asdict(outcome), "met": outcome.is_met}))
        return
    console = Console(highlight=False)
    console.print(_table(list(outcomes)))


def _measured(names: tuple[str, ...], effort: Effort, broker: str | None, worker: str | None) -> Iterator[Outcome]:
    status = Console(stderr=True)
    with status.status("starting") as shown, Site(effort, broker, worker) as site:
        for name in dict.fromkeys(names):
            shown.update(f"measuring: {name}")
            yield from FIGURES[name](site)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("figure", "fedzmq", "peer", "ratio", "wanted", ""):
        table.add_column(heading, justify="left" if heading in ("figure", "peer", "") else "right")
    for each in outcomes:
        peer = "" if each.theirs is None else f"{_number(each.theirs)}  {each.peer}"
        ratio = "" if each.theirs is None or each.compared is None else f"{each.compared:.2f}"
        details = ", ".join(f"{name.removesuffix(' MiB')} {value:g}" for name, value in each.extra.items())
        table.add_row(each.what, f"{_number(each.ours)} {each.unit}", peer or details, ratio, _wanted(each), _met(each))
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _wanted(outcome: Outcome) -> str:
    bound = outcome.bound
    return "" if bound is None else f"{'≥' if bound.at_least else '≤'} {bound.value:g}"


def _met(outcome: Outcome) -> str:
    return {None: "", True: "met", False: "missed"}[outcome.is_met]
