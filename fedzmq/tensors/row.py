"""Tensors laid in a row, by the bytes of which a piece of them can be named.

Nothing is allocated or moved: a range becomes views. No range splits an element.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from fedzmq.errors import UsageError
from fedzmq.tensors.buffers import export


@dataclass(frozen=True, slots=True)
class Span:
    """The elements from `start` to `stop` of the tensor at that place, flattened."""

    place: int
    start: int
    stop: int


class Row:
    """Of tensors with these dtypes and numbers of elements."""

    def __init__(self, forms: Iterable[tuple[torch.dtype, int]]) -> None:
        self._forms = list(forms)
        self._ends = list(accumulate(dtype.itemsize * count for dtype, count in self._forms))

    @classmethod
    def of(cls, tensors: Iterable[torch.Tensor]) -> Row:
        return cls((each.dtype, each.numel()) for each in tensors)

    @property
    def nbytes(self) -> int:
        return self._ends[-1] if self._ends else 0

    def spans(self, start: int, stop: int) -> list[Span]:
        """What lies in these bytes, in order; empty tensors are passed over. Raises UsageError for no such range."""
        if not 0 <= start < stop <= self.nbytes:
            raise UsageError(f"bytes {start} to {stop} are no piece of {self.nbytes}")
        found = []
        place = bisect_right(self._ends, start)
        while start < stop:
            size, begin = self._forms[place][0].itemsize, self._begin(place)
            end = min(stop, self._ends[place])
            if (start - begin) % size or (end - begin) % size:
                raise UsageError(f"bytes {start} to {end} split an element of {size} bytes")
            if end > start:
                found.append(Span(place, (start - begin) // size, (end - begin) // size))
            start, place = end, place + 1
        return found

    def pieces(self, size: int) -> Iterator[tuple[int, int]]:
        """Ranges of about `size` bytes, and at least an element, that make up all of it; no last one is tiny."""
        start = 0
        while start < self.nbytes:
            stop = self.nbytes if self.nbytes - start <= size + size // 16 else start + size
            place = bisect_right(self._ends, stop - 1)
            item, begin = self._forms[place][0].itemsize, self._begin(place)
            stop = begin + (stop - begin) // item * item
            if stop <= start:
                stop += item
            yield start, stop
            start = stop

    def _begin(self, place: int) -> int:
        return self._ends[place - 1] if place else 0


def cut(tensors: Sequence[torch.Tensor], spans: Iterable[Span]) -> list[torch.Tensor]:
    """Views of contiguous tensors."""
    views = []
    for span in spans:
        whole = tensors[span.place].detach().view(-1)
        views.append(whole if span.stop - span.start == whole.numel() else whole[span.start : span.stop])
    return views


def digest_of(tensors: Iterable[torch.Tensor]) -> str:
    """The sha256 of their bytes in a row, in hexadecimal digits."""
    whole = hashlib.sha256()
    for each in tensors:
        whole.update(export(each)[2])
    return whole.hexdigest()
