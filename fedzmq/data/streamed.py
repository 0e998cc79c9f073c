"""Examples that come one after the other, of which none can be had by its number.

What shuffling means here: the parts of a file are read in an order that is drawn for each epoch, and their examples
pass through a pool of SHUFFLED_BYTES. When the pool is full, a random half of it leaves, in random order. So examples
that lie far apart in a file seldom share a batch, and a stream without parts, sorted by class, stays nearly sorted: its
owner should shuffle it once. All of it follows from the seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from fedzmq.data.batches import batch_sizes, drawing
from fedzmq.data.examples import Batch, Column, Examples
from fedzmq.data.forms import Form
from fedzmq.errors import DataError

SHUFFLED_BYTES = 4 * 1024 * 1024


class Stream(Protocol):
    """Where examples come from, as often as they are asked for."""

    @property
    def is_fixed(self) -> bool:
        """They are the same whenever they are asked for."""

    def chunks(self, drawing: torch.Generator | None) -> Iterator[tuple[int, Sequence[Any]]]:
        """A few examples at a time, one array for each column, and the number of the first of them.

        They come as they lie, or with their parts in the order that is drawn. Raises DataError where they are gone.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Streamed(Examples):
    """`form` makes columns of what `source` gives. `chosen` says of every row whether it belongs to the set."""

    name: str
    source: Stream
    form: Form
    described: tuple[Column, ...]
    classes: int | None
    count: int
    where: str
    chosen: torch.Tensor | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.described

    @property
    def target(self) -> str:
        return self.form.target

    @property
    def pool(self) -> int:
        """How many examples are shuffled with one another."""
        return max(2, SHUFFLED_BYTES // self.example_bytes)

    @property
    def manner(self) -> str:
        return f"streamed from {self.where}, shuffled {self.pool:,} at a time"

    def __len__(self) -> int:
        return self.count

    def sample(self) -> Batch | None:
        """The first, as many as are shuffled with one another."""
        return next(self.in_order(min(len(self), self.pool)), None) if self.source.is_fixed else None

    def shuffled(self, batch_size: int, epoch: int, seed: int) -> Iterator[Batch]:
        source = drawing(epoch, seed)
        yield from self._cut(mixed(self._chunks(source), self.pool, source), batch_sizes(len(self), batch_size))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        full, rest = divmod(len(self), batch_size)
        yield from self._cut(self._chunks(None), [batch_size] * full + [rest] * bool(rest))

    def rows(self, index: torch.Tensor) -> Examples:
        """They come in the order of the whole, whatever the order of `index`."""
        places = torch.arange(self.count) if self.chosen is None else self.chosen.nonzero().flatten()
        chosen = torch.zeros(self.count if self.chosen is None else len(self.chosen), dtype=torch.bool)
        chosen[places[index]] = True
        return replace(self, chosen=chosen, count=int(chosen.sum()))

    def called(self, name: str) -> Examples:
        return replace(self, name=name)

    def _chunks(self, drawing: torch.Generator | None) -> Iterator[Batch]:
        for first, raw in self.source.chunks(drawing):
            batch = self.form.apply(self.name, raw)
            if self.form.columns(batch) != self.described:
                raise DataError(self.name, "an example has another form than it had when the set was opened")
            if self.chosen is not None:
                here = self.chosen[first : first + len(batch[-1])]
                if len(here) < len(batch[-1]):
                    raise self._changed("more")
                batch = tuple(column[here] for column in batch)
            if len(batch[-1]):
                yield batch

    def _cut(self, chunks: Iterable[Batch], sizes: Sequence[int]) -> Iterator[Batch]:
        """The same examples in batches of these sizes, which are all that there are."""
        wanted = iter(sizes)
        size = next(wanted, 0)
        held: list[Batch] = []
        count = 0
        for chunk in chunks:
            start, rows = 0, len(chunk[-1])
            while rows - start >= size - count:
                if not size:
                    raise self._changed("more")
                end = start + size - count
                held.append(tuple(column[start:end] for column in chunk))
                yield joined(held)
                held, count, start, size = [], 0, end, next(wanted, 0)
                if start == rows:
                    break
            if start < rows:
                held.append(tuple(column[start:] for column in chunk))
                count += rows - start
        if size:
            raise self._changed("fewer")

    def _changed(self, how: str) -> DataError:
        return DataError(self.name, f"it gives {how} examples than the {self.count} that it gave when it was opened")


def mixed(chunks: Iterable[Batch], pool: int, drawing: torch.Generator) -> Iterator[Batch]:
    """The same examples in the order of the module's docstring."""
    held: list[Batch] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk[-1])
        if count >= pool:
            left, stays = _halves(held, torch.randperm(count, generator=drawing))
            held, count = [stays], len(stays[-1])
            yield left
    if held:
        drawn = torch.randperm(count, generator=drawing)
        yield tuple(column[drawn] for column in joined(held))


def _halves(batches: list[Batch], drawn: torch.Tensor) -> tuple[Batch, Batch]:
    """The rows that were drawn first, and the others. The batches are let go of, so that little is here twice."""
    whole = joined(batches)
    batches.clear()
    half = len(drawn) // 2
    return tuple(column[drawn[:half]] for column in whole), tuple(column[drawn[half:]] for column in whole)


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of all their rows."""
    if len(batches) == 1:
        return batches[0]
    return tuple(torch.cat(columns) for columns in zip(*batches, strict=True))
