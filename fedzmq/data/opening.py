"""From what a reader found to examples: each is looked at once, and held in memory where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from fedzmq.data.data import Data
from fedzmq.data.examples import Batch
from fedzmq.data.forms import Form
from fedzmq.data.lazy import READ_BYTES, Lazy, Rows
from fedzmq.data.streamed import Stream, Streamed
from fedzmq.data.survey import Survey
from fedzmq.errors import DataError

LOOKED_AT = 65_536  # examples in memory that are looked at at once
MOST_WHOLE = (
    4 * 1024 * 1024 * 1024
)  # bytes that a set which has to be read whole may take, as a small file can claim any
HELD_BYTES = 1024 * 1024 * 1024  # of examples in memory: a larger set is read as it is needed, where its form allows


def check_whole(source: str, nbytes: int, way_out: str) -> None:
    """Raises DataError where a set that has to be read whole would take too many bytes."""
    if nbytes > MOST_WHOLE:
        raise DataError(
            source, f"it would take {nbytes:,} bytes, and what is read whole may take {MOST_WHOLE:,}; {way_out}"
        )


def held(source: str, raw: Sequence[Any], form: Form, note: str = "") -> Data:
    """Examples in memory, from one array for each column; `note` says why, if they are many. Raises DataError."""
    batch = form.apply(source, raw)
    survey = _looked_at(source, form, zip(*(torch.split(column, LOOKED_AT) for column in batch), strict=True))
    survey.columns()
    features, *others, targets = batch
    return Data(source, features, targets, survey.classes(form.classes), tuple(others), form.names, note, form.target)


def lazy(source: str, rows: Rows, form: Form, where: str) -> Lazy:
    """Examples that any can be had of, read once in full. Raises DataError."""
    survey = _looked_at(source, form, _read(source, rows, form))
    return Lazy(source, rows, form, survey.columns(), survey.classes(form.classes), where)


def streamed(source: str, stream: Stream, form: Form, where: str) -> Streamed:
    """Examples of a stream, read once in full. Raises DataError."""
    survey = _looked_at(source, form, (form.apply(source, raw) for _, raw in stream.chunks(None)))
    return Streamed(source, stream, form, survey.columns(), survey.classes(form.classes), survey.rows, where)


def _looked_at(source: str, form: Form, batches: Iterable[Batch]) -> Survey:
    survey = Survey(source)
    for batch in batches:
        survey.add(form.columns(batch), batch)
    return survey


def _read(source: str, rows: Rows, form: Form) -> Iterable[Batch]:
    total, many, start = len(rows), 1, 0
    while start < total:
        batch = form.apply(source, rows.take(torch.arange(start, min(start + many, total))))
        yield batch
        start += many
        many = max(1, READ_BYTES // max(1, sum(column.nbytes for column in form.columns(batch))))
