"""`fedzmq data split`: a file for each worker and one of what none gets, what is in them, and a picture of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import torch

from fedzmq.cli.show_data import labels_in_words
from fedzmq.cluster.names import worker_names
from fedzmq.data.data import targets_of
from fedzmq.data.groups import read_groups
from fedzmq.data.load import load
from fedzmq.data.names import name_of
from fedzmq.data.partition import held_out_rows
from fedzmq.data.partitioners.partitioner import Marks
from fedzmq.data.split import Split
from fedzmq.data.writing import write
from fedzmq.errors import DataError, UsageError
from fedzmq.federated.pictures.holdings import draw_holdings

MANIFEST, PICTURE, HELD = "manifest.json", "holdings.png", "held-out"


def split_data(
    source: str, workers: int, split: Split, holdout: float, out: Path, ending: str, plot: bool, memory: int
) -> None:
    """`holdout` is the share that nobody gets, drawn as `train` draws it.

    Raises UsageError for a folder that is taken, DataError for a set that cannot be split so.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{str(out)!r} is there already, and its files are kept: name another folder with --out")
    data = load(source, memory, without=split.column)
    split = split.fitting(data.classes)
    targets = targets_of(data)
    groups = None if split.column is None else read_groups(source, split.column)
    if groups is not None and len(groups) != len(data):
        raise DataError(source, f"the column {split.column!r} has {len(groups)} rows, and the set {len(data)}")
    kept, held = held_out_rows(data, holdout, split.seed) if holdout else (torch.arange(len(data)), torch.arange(0))
    marks = Marks(source, targets, groups).rows(kept)
    parts = [kept[part] for part in split.partitioner().split(marks, workers, split.seed)]
    names, name = worker_names(workers), name_of(source)
    width = max(map(len, (*names, HELD)))
    _make(out)
    told = []
    for worker, part in [*zip(names, parts, strict=True), *([(HELD, held)] if holdout else [])]:
        write(data.rows(part), out / f"{worker}.{ending}")
        labels = () if data.classes is None else tuple(torch.bincount(targets[part], minlength=data.classes).tolist())
        told.append({"worker": worker, "file": f"{worker}.{ending}", "examples": len(part), "labels": list(labels)})
        click.echo(f"{worker:{width}}  {len(part):>9,} examples  {labels_in_words(labels)}".rstrip())
    manifest = {
        "source": source,
        "examples": len(data),
        "classes": data.classes,
        "split": asdict(split),
        "parts": told[:workers],
        "holdout": holdout,
        "held_out": {name: told[-1][name] for name in ("file", "examples", "labels")} if holdout else None,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    if plot:
        title = f"{name}, {len(kept):,} examples: {_in_words(split)}"
        picture = draw_holdings(
            names, [targets[part].reshape(len(part), -1)[:, 0].numpy() for part in parts], data.classes, title
        )
        (out / PICTURE).write_bytes(picture)
    click.echo(f"\nthe parts are in {out}")
    _say_files(plot, f"{HELD}.{ending}" if holdout else None)
    click.echo(f"\nfedzmq worker --id {names[0]} --data {name}={out / names[0]}.{ending}")


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {str(out)!r} cannot be made: {error.strerror or error}") from error


def _say_files(plot: bool, held: str | None) -> None:
    files = [(MANIFEST, "who got what")]
    if plot:
        files.append((PICTURE, "the same, drawn"))
    if held is not None:
        files.append((held, "what no worker got, to evaluate on"))
    width = max(len(file) for file, _ in files)
    for file, what in files:
        click.echo(f"  {file:{width}}  {what}")


def _in_words(split: Split) -> str:
    numbers = {
        "dirichlet": f"alpha {split.alpha:g}",
        "quantity": f"alpha {split.alpha:g}",
        "shards": f"{split.per_worker} each",
        "classes": f"{split.per_worker} each",
        "powerlaw": f"exponent {split.exponent:g}",
        "column": str(split.column),
    }
    return f"{split.how} ({numbers[split.how]})" if split.how in numbers else split.how
