"""What the record of an operation names: the tensors that it uses, and those that it writes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from fedzmq.errors import ProtocolError
from fedzmq.operations.catalog import Catalog
from fedzmq.tensors.dtypes import name_of
from fedzmq.wire.messages import Description


def operands(record: list[Any]) -> Iterator[int]:
    """The ids of the tensors among the arguments, however deep."""
    mask = record[2]
    for position, value in enumerate(record[3]):
        yield from _references(value, bool(mask >> position & 1))
    if len(record) == 5:
        yield from _references(list(record[4].values()), False)


def written(record: list[Any], catalog: Catalog) -> Iterator[int]:
    """The ids of the tensors that the operation writes to. Without a result it writes to its first argument."""
    number, result, mask, arguments = record[:4]
    keywords = record[4] if len(record) == 5 else {}
    if number >= len(catalog):
        return
    for position in catalog.writes_now(number, arguments, keywords) or ((0,) if result == 0 else ()):
        if position < len(arguments):
            yield from _references(arguments[position], bool(mask >> position & 1))
        else:
            yield from _references(list(keywords.values()), False)


def tensors(output: Any) -> Iterator[Tensor]:
    """The tensors of an operation's output in flattened order; what else it holds, such as None, is passed over."""
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


def description_of(tensor: Tensor) -> Description:
    """The metadata that its client is told."""
    return Description(name_of(tensor.dtype), tuple(tensor.shape), tensor.stride(), tensor.requires_grad)


def _references(value: Any, is_id: bool) -> Iterator[int]:
    if is_id:
        if type(value) is int:
            yield value
    elif type(value) is list:
        for item in value:
            yield from _references(item, False)
    elif type(value) is dict:
        for key, item in value.items():
            yield from _references(item, key == "p")
