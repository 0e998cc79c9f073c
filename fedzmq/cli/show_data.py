"""`fedzmq data show`: a set in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

import click

from fedzmq.data.counts import label_counts
from fedzmq.data.data import targets_of
from fedzmq.data.examples import Column, Examples
from fedzmq.data.load import load
from fedzmq.data.names import name_of
from fedzmq.federation.printable import printable

MOST_SHOWN = 20  # classes


def show_data(source: str, memory: int) -> None:
    """Raises DataError."""
    data = load(source, memory)
    kind = "a regression" if data.classes is None else f"{data.classes} classes"
    click.echo(printable(f"{name_of(source)}: {len(data):,} examples, {kind}{_where(data)}"))
    width = max(len(column.name) for column in data.columns)
    *inputs, targets = data.columns
    for column in inputs:
        click.echo(printable(f"  {column.name:{width}}  {_form(column)}"))
    called = f", the column {data.target!r}" if data.target else ""
    click.echo(printable(f"  {targets.name:{width}}  {_form(targets)}{called}"))
    if data.classes is None:
        values = targets_of(data)
        low, mean, high = float(values.min()), float(values.double().mean()), float(values.max())
        click.echo(f"  {'range':{width}}  {low:g} to {high:g}, {mean:g} on average")
    else:
        click.echo(f"  {'labels':{width}}  {labels_in_words(label_counts(data))}")


def labels_in_words(counts: Sequence[int]) -> str:
    """How many of each class that is there, as far as a line goes."""
    there = [f"{label}: {count:,}" for label, count in enumerate(counts) if count]
    rest = f"  ... {len(there)} classes in all" if len(there) > MOST_SHOWN else ""
    return "  ".join(there[:MOST_SHOWN]) + rest


def _where(data: Examples) -> str:
    return f", {data.manner}" if data.manner else ""


def _form(column: Column) -> str:
    dtype = str(column.dtype).removeprefix("torch.")
    return f"{dtype} {list(column.shape)}" if column.shape else dtype
