"""The order of a tensor's elements in memory, which goes along with it, as from one device of torch's to another.

On the wire all are in C order. What lies otherwise, as channels_last does, travels as the permutation of it that is in
C order, and is turned back where it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind, Meta, contiguous_stride, memory_order, meta
from fedzmq.pointers.origins import origin
from fedzmq.wire.messages import SetData

if TYPE_CHECKING:
    from fedzmq.pointers.reference import Reference
    from fedzmq.pointers.stream import Stream

_PERMUTE = CATALOG.number(torch.Tensor.permute)


def order_of(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """See `memory_order`. None, too, for what has no order, and cannot travel."""
    if tensor.layout is not torch.strided or tensor.is_nested:
        return None
    return memory_order(tensor.shape, tensor.stride())


def permuted(stream: Stream, reference: Reference, dimensions: Sequence[int]) -> int:
    """The id of a view of a stored tensor."""
    id = stream.new_id()
    stream.append((_PERMUTE, id, 1, [reference.id, list(dimensions)]), stream.modes, origin())
    return id


def turn_back(stream: Stream, arrived: Reference, order: Sequence[int], kind: Kind) -> Reference:
    """The tensor that was permuted by `order` to travel, in the place of what arrived, and of this kind."""
    dimensions = _inverse(order)
    known = arrived.meta
    view = permuted(stream, arrived, dimensions)
    stream.command(SetData(arrived.id, view), origin())  # no view of anything, as what is sent is none
    stream.released.append(view)
    steps = contiguous_stride(known.shape)
    shape = torch.Size([known.shape[each] for each in dimensions])
    arrived.meta = meta(shape, known.dtype, tuple([steps[each] for each in dimensions]), CONSTANT)
    if kind == LEAF:
        arrived.require_grad(True)
    return arrived


def at_home(value: torch.Tensor, known: Meta) -> torch.Tensor:
    """A value that came in C order, as the tensor lies that it was copied from."""
    order = known.order
    return value if order is None else value.permute(order).contiguous().permute(_inverse(order))


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))
