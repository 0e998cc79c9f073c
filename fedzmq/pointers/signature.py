"""The arguments of a call in two forms: what its effect depends on, and with fakes filled in.

Both walk the arguments in the same order, in which the operands are numbered. The third form, that for the wire, is
made by `fedzmq.operations.arguments.pack`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from fedzmq.errors import IntegerTooLarge, OperationRefused
from fedzmq.pointers.metadata import CONSTANT, meta_of
from fedzmq.pointers.remote import Remote
from fedzmq.tensors.dtypes import NAMES
from fedzmq.wire.limits import MAX_ARRAY, MAX_INT, MAX_RANK, MIN_INT

# True equals 1 and hashes as 1, and an effect may depend on which it is. A float of zero is told from the others: with
# it dropout gives its operand itself, and a norm has no gradient.
TRUE, FALSE, ZERO = object(), object(), object()
GETITEM, SETITEM = torch.Tensor.__getitem__, torch.Tensor.__setitem__

# Functions whose output shape depends on a float; all others are known by the mere type of their floats.
EXACT_FLOATS: frozenset[Callable[..., Any]] = frozenset(
    {
        F.interpolate,
        F.upsample,
        F.upsample_bilinear,
        F.upsample_nearest,
        F.fractional_max_pool2d,
        F.fractional_max_pool3d,
        F.fractional_max_pool2d_with_indices,
        F.fractional_max_pool3d_with_indices,
    }
)

_LOOSE = """
    add add_ __add__ __iadd__ __radd__ sub sub_ __sub__ __isub__ __rsub__ rsub subtract mul mul_ __mul__ __imul__
    __rmul__ multiply div div_ __div__ __truediv__ __itruediv__ __rtruediv__ __rdiv__ true_divide divide floor_divide
    __floordiv__ __rfloordiv__ remainder __mod__ __rmod__ fmod pow pow_ __pow__ __ipow__ __rpow__ eq ne lt le gt ge
    __eq__ __ne__ __lt__ __le__ __gt__ __ge__ fill_ masked_fill masked_fill_ clamp clamp_ clamp_min clamp_max
    addcmul addcmul_ addcdiv addcdiv_ where
"""
# Functions that compute with their ints and shape nothing by them: an effect is not learned anew for every number.
LOOSE_INTS: frozenset[Callable[..., Any]] = frozenset(
    function
    for home in (torch, torch.Tensor)
    for name in _LOOSE.split()
    if (function := getattr(home, name, None)) is not None
)

_ATOMS = frozenset({str, type(None), type(Ellipsis), torch.dtype, torch.layout, torch.memory_format, torch.device})


class Signature:
    """Collects what the effect of one call depends on, and its operands: pointers and local tensors, in order.

    `creates` is for functions that have no operands: their floats may say how large a tensor is to be.
    """

    __slots__ = ("_exact", "_loose", "elements", "operands")

    def __init__(self, func: Callable[..., Any], creates: bool = False) -> None:
        self.operands: list[torch.Tensor] = []
        self.elements = 0  # of sequences
        self._exact = creates or func in EXACT_FLOATS
        self._loose = func in LOOSE_INTS

    def of(self, value: Any) -> Hashable:
        kind = type(value)
        if kind is int:
            if not MIN_INT <= value <= MAX_INT:
                raise IntegerTooLarge(value)
            return int if self._loose else value
        if kind is float:
            return (float, value) if self._exact else float if value else ZERO
        if kind is bool:
            return TRUE if value else FALSE
        if kind in _ATOMS:
            result: Hashable = value
            return result
        if kind is list or kind is tuple or kind is torch.Size:
            return self._of_sequence(value)
        if isinstance(value, Remote):
            self.operands.append(value)
            value._ref.catch_up()
            return value._ref.meta
        if isinstance(value, torch.Tensor):
            self.operands.append(value)
            return ("here", meta_of(value).of_kind(CONSTANT))
        if kind is slice:
            return (slice, self.of(value.start), self.of(value.stop), self.of(value.step))
        if kind is complex:
            return complex
        if isinstance(value, (tuple, range)):
            return self._of_sequence(value)
        if isinstance(value, (int, float, str, np.generic)):
            return self.of(_plain(value))
        if kind is torch.Generator:
            raise OperationRefused(
                "a generator of this process", "a worker draws with its own; worker.seed(7) says what it draws"
            )
        raise OperationRefused(f"an argument of type {kind.__name__}", "such a value has no form on the wire")

    def _of_sequence(self, values: Sequence[Any]) -> Hashable:
        self.elements += len(values)
        if self.elements > MAX_ARRAY:
            raise OperationRefused(f"an argument of {self.elements} elements", "make a tensor of it and send that")
        return (type(values), *[self.of(each) for each in values])

    def of_index(self, index: Any, shape: torch.Size) -> Hashable:
        """Of a subscript. Where it is plain, all that take as many elements in the same steps are one."""
        plain = _plain_index(index, shape)
        return self.of(index) if plain is None else plain


def short_form(value: Any) -> tuple[Hashable, Any] | None:
    """What `Signature.of` and `pack` give for a short sequence of ints or a dtype; None for everything else."""
    kind = type(value)
    if kind is tuple or kind is list or kind is torch.Size:
        if len(value) > MAX_RANK:
            return None
        for each in value:
            if type(each) is not int:
                return None
        return (kind, *value), (list(value) if kind is list else {"t": list(value)})
    if kind is torch.dtype and value in NAMES:
        return value, {"d": NAMES[value]}
    return None


def filled(value: Any, operands: Iterator[torch.Tensor]) -> Any:
    """The same arguments with the operands replaced, in order."""
    if isinstance(value, torch.Tensor):
        return next(operands)
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(filled(each, operands) for each in value)
    if kind is slice:
        return slice(filled(value.start, operands), filled(value.stop, operands), filled(value.step, operands))
    if isinstance(value, tuple) and kind is not torch.Size:  # one with names, as operations give them
        return tuple([filled(each, operands) for each in value])
    return value


def count_operands(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return 1
    return sum(map(count_operands, value)) if isinstance(value, (list, tuple)) else 0


def _plain(value: Any) -> bool | int | float | complex | str:
    """What a number or text of another type (numpy's, an enum's) is in Python's own."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return value
    for kind in (int, float, complex, str):
        if isinstance(value, kind):
            plain: int | float | complex | str = kind(value)  # type: ignore[arg-type]  # it is one
            return plain
    raise OperationRefused(f"an argument of type {type(value).__name__}", "such a value has no form on the wire")


def _plain_index(index: Any, shape: torch.Size) -> Hashable | None:
    """None where the subscript is not made of ints in range and ascending slices alone."""
    items = index if type(index) is tuple else (index,)
    if len(items) > len(shape):
        return None
    key: list[Hashable] = [GETITEM]
    for item, extent in zip(items, shape, strict=False):
        if type(item) is int and -extent <= item < extent:
            key.append(int)
        elif type(item) is slice and _plain_slice(item):
            key.append((slice, len(range(*item.indices(extent))), item.step or 1))
        else:
            return None
    return tuple(key)


def _plain_slice(item: slice) -> bool:
    ints = all(bound is None or type(bound) is int for bound in (item.start, item.stop, item.step))
    return ints and (item.step is None or item.step > 0)
