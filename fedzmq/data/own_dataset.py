"""A torch Dataset of the owner's own: held in memory where it is small, and else read as it is needed.

One that gives something else when it is asked again, as by transforms that draw, is never held: each epoch has its own
draws. Its code runs in the thread that trains, on the worker's side alone, and may draw from torch's random numbers,
which follow from the task's seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

import torch
from torch.utils.data import Dataset, IterableDataset

from fedzmq.data.examples import Examples
from fedzmq.data.forms import Form, a, as_tensor
from fedzmq.data.lazy import Lazy
from fedzmq.data.opening import held, lazy, streamed
from fedzmq.data.own_code import one_line
from fedzmq.data.streamed import Streamed
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
            return own.opened()
        chunks.append(chunk)
    if not chunks:
        raise DataError(source, "it has no examples")
    if own.draws(chunks[0]):
        return own.opened()
    return held(source, [torch.cat(parts) for parts in zip(*chunks, strict=True)], own.form())


class _Own:
    """A Dataset, and what its first example was like."""

    is_fixed = False
    """It may draw, as transforms do."""

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
            size = f" of {len(example)}" if isinstance(example, tuple | list) else ""
            raise DataError(
                self.source,
                f"example {number} of the Dataset is {a(example)}{size}, and a pair was expected: its features, which "
                "may be a tuple of several inputs, and its target",
            )
        features, target = example
        inputs: Sequence[object] = features if isinstance(features, tuple) and features else (features,)
        found = [as_tensor(self.source, f"features of example {number}", each) for each in inputs]
        found.append(as_tensor(self.source, f"targets of example {number}", target))
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

    def opened(self) -> Lazy:
        return lazy(self.source, self, self.form(), "the owner's Dataset")

    def draws(self, first: Sequence[torch.Tensor]) -> bool:
        """Whether its first examples, which were these, are others now."""
        return _differ(first, self.take(torch.arange(len(first[0]))))

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

    @property
    def _begins_anew(self) -> bool:
        examples = cast("Iterable[object]", self.dataset)
        return iter(examples) is not iter(examples)

    def _check_again(self) -> None:
        """Raises DataError where it can be read but once: every epoch reads it."""
        if not self._begins_anew:
            raise DataError(self.source, "it gives its examples once, and __iter__ must begin anew for every epoch")

    def opened(self) -> Streamed:
        self._check_again()
        return streamed(self.source, self, self.form(), "the owner's Dataset")

    def draws(self, first: Sequence[torch.Tensor]) -> bool:
        """Whether its first examples, which were these, are others now, as far as it begins anew."""
        again = next(self.whole(), None) if self._begins_anew else None
        return again is not None and _differ(first, again)

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


def _differ(some: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    return not all(torch.equal(one, other) for one, other in zip(some, others, strict=True))
