"""`fedzmq data split`: a file for each worker, what is in them, and a picture of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import torch

from fedzmq.cli.show_data import labels_in_words
from fedzmq.cluster.names import worker_names
from fedzmq.data.data import targets_of
from fedzmq.data.groups import read_groups
from fedzmq.data.load import load, name_of
from fedzmq.data.partitioners.partitioner import Marks
from fedzmq.data.split import Split
from fedzmq.data.writing import write
from fedzmq.errors import DataError, UsageError
from fedzmq.federated.pictures.holdings import draw_holdings

MANIFEST, PICTURE = "manifest.json", "holdings.png"


def split_data(source: str, workers: int, split: Split, out: Path, ending: str, plot: bool, memory: int) -> None:
    """Raises UsageError for a folder that is taken, DataError for a set that cannot be split so."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{str(out)!r} is there already, and its files are kept: name another folder with --out")
    data = load(source, memory, without=split.column)
    targets = targets_of(data)
    groups = None if split.column is None else read_groups(source, split.column)
    if groups is not None and len(groups) != len(data):
        raise DataError(source, f"the column {split.column!r} has {len(groups)} rows, and the set {len(data)}")
    parts = split.partitioner().split(Marks(source, targets, groups), workers, split.seed)
    names, name = worker_names(workers), name_of(source)
    width = max(map(len, names))
    _make(out)
    told = []
    for worker, part in zip(names, parts, strict=True):
        write(data.rows(part), out / f"{worker}.{ending}")
        labels = () if data.classes is None else tuple(torch.bincount(targets[part], minlength=data.classes).tolist())
        told.append({"worker": worker, "file": f"{worker}.{ending}", "examples": len(part), "labels": list(labels)})
        click.echo(f"{worker:{width}}  {len(part):>9,} examples  {labels_in_words(labels)}".rstrip())
    manifest = {
        "source": source,
        "examples": len(data),
        "classes": data.classes,
        "split": asdict(split),
        "parts": told,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    if plot:
        title = f"{name}, {len(data):,} examples: {_in_words(split)}"
        picture = draw_holdings(
            names, [targets[part].reshape(len(part), -1)[:, 0].numpy() for part in parts], data.classes, title
        )
        (out / PICTURE).write_bytes(picture)
    click.echo(f"\nthe parts are in {out}")
    _say_files(out, plot)
    click.echo(f"\nfedzmq worker --id {names[0]} --data {name}={out / names[0]}.{ending}")


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {str(out)!r} cannot be made: {error.strerror or error}") from error


def _say_files(out: Path, plot: bool) -> None:
    files: Sequence[tuple[str, str]] = [(MANIFEST, "who got what"), *([(PICTURE, "the same, drawn")] if plot else [])]
    for file, what in files:
        click.echo(f"  {file:13}  {what}")


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
