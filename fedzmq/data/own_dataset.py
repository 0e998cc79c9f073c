"""A torch Dataset of the owner's own: held in memory where it is small, and else read as it is needed.

Its code runs in the thread that trains, on the worker's side alone, and may draw from torch's random numbers, which
follow from the task's seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

import torch
from torch.utils.data import Dataset, IterableDataset

from fedzmq.data.examples import Examples
from fedzmq.data.forms import Form, a, as_tensor
from fedzmq.data.opening import held, lazy, streamed
from fedzmq.data.own_code import one_line
from fedzmq.errors import DataError

AT_ONCE = 64  # examples that are put together


def read_dataset(source: str, dataset: Dataset[Any], memory: int) -> Examples:
    """By index where it has one, and one after the other where it is iterable. Raises DataError."""
    own = OwnStream(source, dataset) if isinstance(dataset, IterableDataset) else OwnRows(source, dataset)
    chunks: list[list[torch.Tensor]] = []
    size = 0
    for chunk in own.whole():
        size += sum(each.nbytes for each in chunk)
        if size > memory:
            if isinstance(own, OwnStream):
                own.check_again()
                return streamed(source, own, own.form(), "the owner's Dataset")
            return lazy(source, own, own.form(), "the owner's Dataset")
        chunks.append(chunk)
    if not chunks:
        raise DataError(source, "it has no examples")
    return held(source, [torch.cat(parts) for parts in zip(*chunks, strict=True)], own.form())


class _Own:
    """A Dataset, and what its first example was like."""

    def __init__(self, source: str, dataset: Dataset[Any]) -> None:
        self.source = source
        self.dataset = dataset
        self._inputs = 0
        self._shapes: list[torch.Size] = []
        self._is_open = False

    def form(self) -> Form:
        """Of its examples. From now on, what fails is told to clients, who are not to read the owner's values."""
        self._is_open = True
        return Form.unnamed(self._inputs)

    def stacked(self, examples: Iterable[tuple[int, object]]) -> list[torch.Tensor]:
        """One tensor for each column. Raises DataError for an example that is not like the first."""
        rows = [self._example(number, example) for number, example in examples]
        return [torch.stack(column) for column in zip(*rows, strict=True)]

    def _example(self, number: int, example: object) -> list[torch.Tensor]:
        if not isinstance(example, tuple | list) or len(example) != 2:
            raise DataError(self.source, f"example {number} of the Dataset is {a(example)}, and a pair was expected")
        features, target = example
        inputs: Sequence[object] = features if isinstance(features, tuple) and features else (features,)
        found = [as_tensor(self.source, f"features of example {number}", each) for each in inputs]
        found.append(as_tensor(self.source, f"target of example {number}", target))
        shapes = [each.shape for each in found]
        if not self._shapes:
            self._shapes, self._inputs = shapes, len(inputs)
        if shapes != self._shapes:
            shape, first = (", ".join(str(tuple(each)) for each in these[:-1]) for these in (shapes, self._shapes))
            raise DataError(
                self.source, f"example {number} has the shape {shape}, and the first {first}; all must be alike"
            )
        return found

    def _failed(self, error: Exception) -> DataError:
        told = type(error).__name__ if self._is_open else one_line(error)
        return DataError(self.source, f"reading the Dataset failed with {told}")


class OwnRows(_Own):
    """A Dataset with an index and a length."""

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def whole(self) -> Iterator[list[torch.Tensor]]:
        """By index up to the length: a Dataset need not say by itself where it ends."""
        try:
            rows = len(self)
        except Exception as error:
            raise self._failed(error) from (None if self._is_open else error)
        for start in range(0, rows, AT_ONCE):
            yield self.take(torch.arange(start, min(start + AT_ONCE, rows)))

    def take(self, index: torch.Tensor) -> list[torch.Tensor]:
        return self.stacked(self._numbered(index.tolist()))

    def _numbered(self, index: Sequence[int]) -> Iterator[tuple[int, object]]:
        for number in index:
            try:
                example = self.dataset[number]
            except Exception as error:
                raise self._failed(error) from (None if self._is_open else error)
            yield number, example


class OwnStream(_Own):
    """A Dataset that gives its examples one after the other, anew whenever it is asked."""

    def whole(self) -> Iterator[list[torch.Tensor]]:
        for _, chunk in self.chunks(None):
            yield chunk

    def check_again(self) -> None:
        """Raises DataError where it can be read but once: every epoch reads it."""
        examples = cast("Iterable[object]", self.dataset)
        if iter(examples) is iter(examples):
            raise DataError(self.source, "it gives its examples once, and __iter__ must begin anew for every epoch")

    def chunks(self, drawing: torch.Generator | None) -> Iterator[tuple[int, list[torch.Tensor]]]:
        """In the Dataset's own order, whatever is drawn: it has no parts that are known here."""
        numbered = enumerate(self._examples())
        first = 0
        while some := list(islice(numbered, AT_ONCE)):
            yield first, self.stacked(some)
            first += len(some)

    def _examples(self) -> Iterator[object]:
        try:
            yield from cast("Iterable[object]", self.dataset)
        except Exception as error:
            raise self._failed(error) from (None if self._is_open else error)
