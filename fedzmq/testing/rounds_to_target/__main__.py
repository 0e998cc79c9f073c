"""`bin/rounds-to-target`: measures all cells, some at a time, and prints the tables."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from fedzmq.testing.rounds_to_target.cell import Cell, Effort, Found, measure
from fedzmq.testing.rounds_to_target.digits import SPLITS
from fedzmq.testing.rounds_to_target.tables import local_work, participation, participation_cells, work_cells

TABLES = {"work": (work_cells, local_work), "participation": (participation_cells, participation)}
QUICK = Effort(target=0.5, seeds=(0,), rates=(0.3,), first=0.3, most=30)
QUICK_WAYS = ((1, None), (5, 10))


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    began = time.monotonic()
    if asked.quick:
        found = _measured([Cell(split, *way) for split in SPLITS for way in QUICK_WAYS], QUICK, 1)
        print(local_work(found, QUICK_WAYS))
        return
    effort = Effort(target=asked.target, seeds=tuple(range(asked.seeds)), most=asked.most)
    chosen = [TABLES[name] for name in asked.tables or TABLES]
    wanted = dict.fromkeys(cell for cells, _ in chosen for cell in cells())
    found = _measured(list(wanted), effort, asked.processes)
    seeds, rates = ", ".join(map(str, effort.seeds)), ", ".join(f"{rate:g}" for rate in effort.rates)
    print(*(table(found) for _, table in chosen), sep="\n\n")
    print(
        f"\nRounds to {effort.target:.0%} of 359 held-out digits: the mean of the seeds {seeds}, at the best of the "
        f"learning rates {rates} for seed 0; —: not within {effort.most} rounds. {time.strftime('%d %B %Y')}, "
        f"{(time.monotonic() - began) / 60:.0f} minutes."
    )


def _measured(wanted: Sequence[Cell], effort: Effort, processes: int) -> dict[Cell, Found]:
    return {found.cell: found for found in _shown(_each(wanted, effort, processes), len(wanted))}


def _each(wanted: Sequence[Cell], effort: Effort, processes: int) -> Iterable[Found]:
    if processes == 1:
        yield from (measure(cell, effort) for cell in wanted)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(measure, cell, effort) for cell in wanted]):
            yield done.result()


def _shown(founds: Iterable[Found], of: int) -> Iterable[Found]:
    """The same, each with a line on standard error."""
    for number, found in enumerate(founds, 1):
        cell = found.cell
        rounds = ", ".join(f"{each:.1f}" for each in found.rounds) or "not reached"
        rate = "" if found.rate is None else f" at {found.rate:g}"
        print(
            f"{number}/{of}  {cell.split}, C={cell.fraction:g} E={cell.epochs} B={cell.batch_size or '∞'}: "
            f"{rounds}{rate}",
            file=sys.stderr,
        )
        yield found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/rounds-to-target", description=__doc__)
    parser.add_argument("--table", action="append", choices=TABLES, dest="tables", help="only this one; repeatable")
    parser.add_argument("--target", type=float, default=0.95, metavar="ACCURACY", help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how many, from 0 (default: %(default)s)")
    parser.add_argument("--most", type=int, default=250, metavar="ROUNDS", help="then give up (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="cells at a time (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only see that it works: the numbers mean nothing")
    return parser


if __name__ == "__main__":
    main()
