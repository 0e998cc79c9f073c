"""Results that are large because operands meet: a column and a row are little, and their sum is a table.

Every operation of several tensors may do that, and most are too frequent for a closer look. It is taken where one of
them is `notable`, and once for each set of shapes: a run on the meta device, which allocates nothing, in which no
tensor may be larger than the limit. Written out or not, as views of little are what the next kernel writes out.

No kernel is run on the meta device either with what the operation's own guard refuses.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import LimitExceeded
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, extent, product
from fedzmq.operations.guards.on_meta import Bounded, on_meta

_WIDEST = 16  # bytes of an element
_MOST_KNOWN = 1 << 16  # values, in all sets of shapes together: a client does not pay for them out of its quota


class Products:
    """What several tensors make together is at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.notable = isqrt(limit // _WIDEST)
        """Bytes, of those without elements by their extent. Two tensors that are no larger make nothing too large."""
        self._limit = limit
        self._known: set[Hashable] = set()
        self._values = 0  # in what is known

    def check_tensors(
        self, name: str, function: Callable[..., Any], guard: Guard | None, tensors: Sequence[Tensor]
    ) -> None:
        """As `check`, of a call with nothing but tensors: for large ones this is all that it costs them."""
        shapes = (name, *[each.shape for each in tensors], *[each.dtype for each in tensors])
        if shapes not in self._known:
            self._look(name, function, guard, tensors, {}, shapes)

    def check(
        self,
        name: str,
        function: Callable[..., Any],
        guard: Guard | None,
        arguments: Arguments,
        keywords: Keywords,
    ) -> None:
        """Raises LimitExceeded. What else is wrong with a call, its kernel says."""
        shapes = (name, *keywords, *map(_shapes, [*arguments, *keywords.values()]))
        if shapes not in self._known:
            self._look(name, function, guard, arguments, keywords, shapes)

    def _look(
        self,
        name: str,
        function: Callable[..., Any],
        guard: Guard | None,
        arguments: Arguments,
        keywords: Keywords,
        shapes: Hashable,
    ) -> None:
        if _WIDEST * product(map(_elements, [*arguments, *keywords.values()])) > self._limit:
            if guard is not None:
                guard(self._limit, arguments, keywords)
            with torch.no_grad(), Bounded(name, self._limit), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the call itself will give them, and as errors they would end the look
                try:
                    on_meta(function, arguments, keywords)
                except LimitExceeded:
                    raise
                except Exception:
                    return
        self._remember(shapes)

    def _remember(self, shapes: Hashable) -> None:
        values = _values(shapes)
        if values > _MOST_KNOWN:
            return
        if self._values + values > _MOST_KNOWN:
            self._known.clear()
            self._values = 0
        self._known.add(shapes)
        self._values += values


def _elements(value: Any) -> int:
    """Of a tensor, or of all in a list multiplied."""
    if isinstance(value, Tensor):
        return extent(value)
    return product(map(_elements, value)) if isinstance(value, (list, tuple)) else 1


def _shapes(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(_shapes, value))
    if isinstance(value, slice):
        return slice, *map(_shapes, (value.start, value.stop, value.step))
    known: Hashable = value
    return type(value), known


def _values(known: Hashable) -> int:
    """However deep, and each tuple is one too."""
    return 1 + sum(map(_values, known)) if isinstance(known, tuple) else 1
