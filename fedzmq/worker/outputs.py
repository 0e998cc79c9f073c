"""The tensors that an operation gave, and what its client is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from fedzmq.errors import ProtocolError
from fedzmq.tensors.dtypes import name_of
from fedzmq.wire.limits import MAX_RANK, check_size
from fedzmq.wire.messages import Described, Description


def tensors(output: Any) -> Iterator[Tensor]:
    """In flattened order; what else an output holds, such as None, is passed over."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from tensors(item)


def only(output: Any) -> Tensor:
    """The one tensor of an output. Raises ProtocolError where there is none, or several."""
    found = list(tensors(output))
    if len(found) != 1:
        raise ProtocolError(f"the operation gave {len(found)} tensors, and one id came for them")
    return found[0]


def within(room: int, output: Any) -> list[Tensor]:
    """The tensors of an output. Raises LimitExceeded where they are more than the client has named."""
    found = list(tensors(output))
    check_size("the number of outputs", len(found), room)
    return found


def description_of(tensor: Tensor) -> Description:
    """The metadata that its client is told. Raises LimitExceeded where it has too many dimensions to be told them."""
    check_size("the rank of a tensor", tensor.dim(), MAX_RANK)
    dtype, shape = name_of(tensor.dtype), tuple(tensor.shape)
    return Description(dtype, shape, tensor.stride(), tensor.requires_grad, tensor._version)


def described(request: int, output: Any) -> Described:
    """The answer to who could not foretell the output."""
    return Described(request, tuple(map(description_of, tensors(output))), isinstance(output, Tensor))
