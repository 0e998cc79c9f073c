"""A worker's process, from reading its data to its goodbye."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import torch

from fedzmq.cli.ending import interrupt, on_signal
from fedzmq.cli.greeting import greet
from fedzmq.cluster.memory import free_bytes
from fedzmq.data.examples import Examples
from fedzmq.data.groups import read_groups
from fedzmq.data.load import load
from fedzmq.data.names import name_of
from fedzmq.data.own_code import own_function
from fedzmq.data.partition import part as part_of
from fedzmq.data.split import Split
from fedzmq.errors import DataError, FunctionError
from fedzmq.federation.printable import printable
from fedzmq.files.secret import user_secret
from fedzmq.transports.registry import connect
from fedzmq.worker.allowance import Allowance
from fedzmq.worker.process_memory import ProcessMemory, is_bounded
from fedzmq.worker.store import DEFAULT_QUOTA
from fedzmq.worker.training.kept_files import KeptFiles
from fedzmq.worker.worker import Worker


def serve_worker(
    name: str,
    broker: str,
    sources: Iterable[str],
    functions: Iterable[str],
    part: tuple[int, int] | None,
    data_memory: int,
    memory: int | None,
    tell_labels: bool,
    split: Split,
    silence: float,
    wait: float,
    threads: int,
    keep: Path | None,
    direct: bool,
) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises UsageError, BrokerUnreachable, NameTaken."""
    later = on_signal(interrupt)
    torch.set_num_threads(threads)
    kept = None if keep is None else KeptFiles(keep)
    if kept is not None:
        kept.check()
    data = [_read(source, part, data_memory << 20, split) for source in sources]
    for each in data:
        target = f", target {each.target!r}" if each.target else ""
        click.echo(f"holds {each.name}: {len(each)} examples{target}" + (f", {each.manner}" if each.manner else ""))
    if len({each.name for each in data}) < len(data):
        raise DataError(", ".join(each.name for each in data), "two sets have one name; give them names: NAME=SOURCE")
    allowed = free_bytes() if memory is None else memory << 20
    offered = dict(map(_function, functions))
    for function in offered:
        click.echo(f"offers the function {function}")
    with connect(broker, name) as connection:
        greet(connection, wait)
        with Worker(
            connection,
            data=data,
            tell_labels=tell_labels,
            functions=offered,
            silence=silence,
            kept=kept,
            secret=user_secret(),
            direct=direct,
            # One client's tensors leave room to compute, and for another.
            quota=DEFAULT_QUOTA if allowed is None else min(DEFAULT_QUOTA, allowed // 2),
            allowance=None if allowed is None or not is_bounded() else Allowance(allowed, ProcessMemory()),
            say=_say,
        ) as worker:
            gc.freeze()  # else collections walk over all of torch, for a tenth of a second in the middle of an answer
            try:
                with later():  # no thread is half begun
                    worker.start()
                click.echo(f"worker {name} at {broker} (Ctrl-C ends it)")
                worker.run()
            except KeyboardInterrupt:
                click.echo("stopped")


def _say(line: str) -> None:
    click.echo(printable(line))


def _read(source: str, part: tuple[int, int] | None, memory: int, split: Split) -> Examples:
    name, equals, rest = source.partition("=")
    name, source = (name, rest) if equals and name.isidentifier() else (name_of(source), source)
    data = load(source, memory, without=split.column)
    if part is not None:
        groups = read_groups(source, split.column) if split.column is not None else None
        data = part_of(data, *part, split.fitting(data.classes).partitioner(), split.seed, groups)
    return data.called(name)


def _function(source: str) -> tuple[str, Callable[..., Any]]:
    name, equals, rest = source.partition("=")
    path = rest if equals else source
    return (name if equals else path.rpartition(":")[2]), own_function(path, FunctionError)
