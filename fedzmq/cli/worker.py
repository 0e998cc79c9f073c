"""`fedzmq worker`."""

from __future__ import annotations

from pathlib import Path

import click

from fedzmq.cli.job_file import JobCommand
from fedzmq.cli.shared_options import (
    broker_option,
    data_memory_option,
    silence_option,
    split_options,
    wait_option,
)
from fedzmq.cli.values import Count, part_number
from fedzmq.data.split import Split
from fedzmq.errors import UsageError


@click.command("worker", cls=JobCommand)
@click.option("--id", "name", required=True, metavar="NAME", help="The name that clients know this worker by.")
@broker_option
@click.option(
    "--data",
    "sources",
    multiple=True,
    metavar="[NAME=]SOURCE",
    help="Data to train on, of which no row is sent: a built-in name (digits), a .csv, .npz, .parquet or "
    ".safetensors file, x.npy,y.npy, or module:function of your own. Clients know it by "
    "NAME (default: the file's name without its ending). Repeatable.",
)
@click.option(
    "--part",
    callback=part_number,
    metavar="K/N",
    help="Hold the K-th of N parts of the data, a tenth left out for evaluation. Without it, hold all of it.",
)
@data_memory_option
@click.option(
    "--memory",
    type=Count(least=64),
    metavar="MIB",
    help="Memory that the commands and trainings of all clients may take together. What asks for more fails alone "
    "(default: what the machine has left when the worker starts).",
)
@click.option("--tell-labels", is_flag=True, help="Let clients know how many examples of each class the data have.")
@click.option(
    "--function",
    "functions",
    multiple=True,
    metavar="[NAME=]MODULE:FUNCTION",
    help="A function of your own that clients may call by NAME (default: the function's). It runs here, on their "
    "tensors and numbers, and gives tensors or numbers. Repeatable.",
)
@split_options("How the parts are made")
@silence_option("a client is gone, and what it kept here is released.")
@wait_option
@click.option(
    "--threads",
    type=Count(),
    default=1,
    show_default=True,
    help="Threads for torch. More help large models on a machine with cores to spare, and change the last digits.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where what rounds leave with this worker (control variates, personal layers, a model of its own) outlives "
    "it: started again, it goes on with that.",
)
@click.option(
    "--direct/--no-direct",
    default=True,
    show_default=True,
    help="Exchange with clients on this machine, of the same user, directly and not through the broker.",
)
@click.option("--while-stdin", is_flag=True, hidden=True)
def command(
    name: str,
    broker: str,
    sources: tuple[str, ...],
    part: tuple[int, int] | None,
    data_memory: int,
    memory: int | None,
    tell_labels: bool,
    functions: tuple[str, ...],
    how: str,
    alpha: float,
    per_worker: int,
    exponent: float,
    column: str | None,
    split_seed: int,
    silence: float,
    wait: float,
    threads: int,
    keep: Path | None,
    direct: bool,
    while_stdin: bool,
) -> None:
    """Hold tensors and data, and run the commands of clients on them.

    Commands are named operations of a closed list. Nothing that comes over the network is code.
    """
    if part is not None and not sources:
        raise UsageError("--part says how much of the data to hold: it needs --data")
    if while_stdin:
        from fedzmq.cli.ending import with_stdin

        with_stdin()
    from fedzmq.cli.serve_worker import serve_worker  # brings torch, which --help and a wrong option do without

    split = Split(how, alpha, per_worker, exponent, column, split_seed)
    serve_worker(
        name,
        broker,
        sources,
        functions,
        part,
        data_memory,
        memory,
        tell_labels,
        split,
        silence,
        wait,
        threads,
        keep,
        direct,
    )
