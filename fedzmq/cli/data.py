"""`fedzmq data`."""

from __future__ import annotations

from pathlib import Path

import click

from fedzmq.cli.idle_options import check_split_options
from fedzmq.cli.shared_options import data_memory_option, split_options
from fedzmq.cli.values import Count, Number, Word
from fedzmq.data.split import HELD_OUT, Split

_SOURCE = click.argument("source", metavar="SOURCE")


@click.group("data", short_help="Data sets: show one, split one.")
def command() -> None:
    """Look at data sets, and split them for experiments.

    SOURCE is what `fedzmq worker --data` takes: a built-in name (digits), a .csv, .npz, .parquet or .safetensors file,
    x.npy,y.npy, or module:function.
    """


@command.command("show", short_help="Say what is in a set.")
@_SOURCE
@data_memory_option
def show(source: str, data_memory: int) -> None:
    """Say how many examples a set has, of which form, and how many of each class."""
    from fedzmq.cli.show_data import show_data  # brings torch

    show_data(source, data_memory << 20)


@command.command("split", short_help="Write a file for each worker.")
@_SOURCE
@click.option("--workers", type=Count(10_000), required=True, metavar="N", help="How many parts to make.")
@split_options("How the set is split", seed="--seed")
@click.option(
    "--holdout",
    type=Number(min=0, max=1, max_open=True),
    default=HELD_OUT,
    show_default=True,
    help="The share that no worker gets, and that is a file of its own. The tenth is what `train` evaluates on, with "
    "the same --data and --split-seed; 0 gives all to the workers.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Where the parts go: a new folder."
)
@click.option(
    "--format",
    "ending",
    type=Word(["npz", "safetensors", "parquet"]),
    default="npz",
    show_default=True,
    help="What to write. All can be larger than a worker's memory.",
)
@click.option("--plot", is_flag=True, help="Draw who holds what.")
@data_memory_option
def split(
    source: str,
    workers: int,
    how: str,
    alpha: float,
    per_worker: int,
    exponent: float,
    column: str | None,
    seed: int,
    holdout: float,
    out: Path,
    ending: str,
    plot: bool,
    data_memory: int,
) -> None:
    """Write a file for each worker, which it takes as its --data, and manifest.json, which says who got what.

    What no worker gets, to evaluate on, is a file beside them.
    """
    check_split_options(click.get_current_context())
    from fedzmq.cli.split_data import split_data  # brings torch

    chosen = Split(how, alpha, per_worker, exponent, column, seed)
    split_data(source, workers, chosen, holdout, out, ending, plot, data_memory << 20)
