"""The arguments of an operation, from Python values to wire values and back.

None, bools, 64-bit ints, floats and short strings are themselves and a list is a list of values. Everything else is a
map of one key: p a stored tensor, x a tensor whose bytes are a buffer of the message, t a tuple, d a dtype, s a slice,
e Ellipsis, m a memory format, v a device, l a layout, c a complex number, b (in plans) a number that depends on the
batch's rows, see `fedzmq.operations.rules`, n (in plans) one that depends in this way on a dimension of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy
import torch

from fedzmq.errors import IntegerTooLarge, OperationRefused, ProtocolError
from fedzmq.operations.rules import Rule, is_rule
from fedzmq.tensors.dtypes import dtype_of, name_of
from fedzmq.wire.limits import MAX_ARGUMENT_DEPTH, MAX_ARGUMENT_TEXT, MAX_INT, MAX_RANK, MIN_INT
from fedzmq.wire.messages import TensorSpec

Attach = Callable[[torch.Tensor], dict[str, Any]]
"""Gives the wire value of a tensor: `reference(id)` of a pointer, or `inline(spec)` of a local one."""

_MEMORY_FORMATS = {
    "contiguous_format": torch.contiguous_format,
    "preserve_format": torch.preserve_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}
_FORMAT_NAMES = {memory_format: name for name, memory_format in _MEMORY_FORMATS.items()}
_AS_THEY_ARE = frozenset({bool, float, type(None)})


def _no_inline(spec: TensorSpec) -> torch.Tensor:
    raise ProtocolError("a tensor's bytes have no place here")


def _no_batch(rule: Rule) -> Any:
    raise ProtocolError("the rows of a batch are known in plans only")


def _no_extent(id: int, dimension: int, rule: Rule) -> Any:
    raise ProtocolError("the extent of a tensor is an argument in plans only")


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names in wire values stand for at their receiver.

    `lookup` gives a stored tensor by id and raises where there is none; `inline` gives a tensor from a buffer of the
    message; `batch` gives what a rule makes of the number of rows of a batch, and `extent` what it makes of that of a
    stored tensor along a dimension; `devices` are those that may be named.
    """

    lookup: Callable[[int], Any]
    inline: Callable[[TensorSpec], Any] = _no_inline
    batch: Callable[[Rule], Any] = _no_batch
    extent: Callable[[int, int, Rule], Any] = _no_extent
    devices: tuple[str, ...] = ("cpu",)


def reference(id: int) -> dict[str, Any]:
    """The wire value of a stored tensor."""
    return {"p": id}


def inline(spec: TensorSpec) -> dict[str, Any]:
    """The wire value of a tensor whose bytes are a buffer of the message."""
    return {"x": [spec.dtype, list(spec.shape), spec.buffer]}


def pack(value: Any, attach: Attach, depth: int = 0) -> Any:
    """The wire value. Raises OperationRefused for a value that has none, such as a callable or a generator."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise IntegerTooLarge(value)
        return value
    if depth > MAX_ARGUMENT_DEPTH:
        raise OperationRefused("an argument", f"it nests more than {MAX_ARGUMENT_DEPTH} deep")
    packer = _PACKERS.get(kind)
    if packer is not None:
        return packer(value, attach, depth)
    for base, packer in _PACKERS.items():  # a namedtuple, an IntEnum, a subclass of Tensor
        if isinstance(value, base):
            return packer(value, attach, depth)
    raise OperationRefused(f"an argument of type {kind.__name__}", "such a value has no form on the wire")


def unpack(value: Any, scope: Scope, depth: int = 0) -> Any:
    """The Python value. Raises ProtocolError for what `pack` never gives, and what the scope's functions raise."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        if not MIN_INT <= value <= MAX_INT:
            raise ProtocolError("an int among the arguments has more than 64 bits")
        return value
    if kind is str:
        return _short(value)
    if depth > MAX_ARGUMENT_DEPTH:
        raise ProtocolError(f"an argument nests more than {MAX_ARGUMENT_DEPTH} deep")
    if kind is list or kind is tuple:
        return [unpack(item, scope, depth + 1) for item in value]
    if kind is not dict or len(value) != 1:
        raise ProtocolError(f"an argument is a plain value, an array or a map of one key, not a {kind.__name__}")
    ((key, content),) = value.items()
    unpacker = _UNPACKERS.get(key)
    if unpacker is None:
        raise ProtocolError(f"an argument has the unknown key {key!r:.20}")
    return unpacker(content, scope, depth + 1)


def unpack_keywords(packed: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """Keyword arguments as Python values. Raises as `unpack` does, and OperationRefused for those never served."""
    keywords = {key: unpack(value, scope) for key, value in packed.items()}
    if "out" in keywords:
        raise OperationRefused("an operation with out=", "it would resize memory that others share; use .copy_()")
    if isinstance(keywords.get("device"), str):
        raise OperationRefused("a device as text", "it is given as torch.device(...)")
    return keywords


def _short(text: str) -> str:
    if len(text) > MAX_ARGUMENT_TEXT:
        raise ProtocolError(f"a str among the arguments has {len(text)} characters; {MAX_ARGUMENT_TEXT} are allowed")
    return text


def _pack_text(value: str, attach: Attach, depth: int) -> str:
    if len(value) > MAX_ARGUMENT_TEXT:
        raise OperationRefused(f"a str of {len(value)} characters", f"{MAX_ARGUMENT_TEXT} are allowed")
    return str(value)


def _pack_items(value: Any, attach: Attach, depth: int) -> list[Any]:
    return [pack(item, attach, depth + 1) for item in value]


def _pack_layout(value: torch.layout, attach: Attach, depth: int) -> dict[str, Any]:
    if value is not torch.strided:
        raise OperationRefused(f"the layout {value}", "tensors on workers are strided")
    return {"l": "strided"}


_PACKERS: dict[type, Callable[[Any, Attach, int], Any]] = {
    torch.Tensor: lambda value, attach, depth: attach(value),
    str: _pack_text,
    list: _pack_items,
    range: _pack_items,
    torch.Size: lambda value, attach, depth: {"t": _pack_items(value, attach, depth)},
    tuple: lambda value, attach, depth: {"t": _pack_items(value, attach, depth)},
    torch.dtype: lambda value, attach, depth: {"d": name_of(value)},
    slice: lambda value, attach, depth: {"s": _pack_items((value.start, value.stop, value.step), attach, depth)},
    EllipsisType: lambda value, attach, depth: {"e": 0},
    torch.memory_format: lambda value, attach, depth: {"m": _FORMAT_NAMES[value]},
    torch.device: lambda value, attach, depth: {"v": value.type},
    torch.layout: _pack_layout,
    complex: lambda value, attach, depth: {"c": [value.real, value.imag]},
    float: lambda value, attach, depth: float(value),
    int: lambda value, attach, depth: pack(int(value), attach, depth),
    numpy.generic: lambda value, attach, depth: pack(value.item(), attach, depth + 1),
}


def _unpack_reference(content: Any, scope: Scope, depth: int) -> Any:
    if type(content) is not int or not 0 < content <= MAX_INT:
        raise ProtocolError("the id of a tensor is an int of 1 or more")
    return scope.lookup(content)


def _unpack_inline(content: Any, scope: Scope, depth: int) -> Any:
    if type(content) is not list or len(content) != 3:
        raise ProtocolError("a tensor among the arguments is [dtype, shape, buffer]")
    dtype, shape, buffer = content
    if type(dtype) is not str or type(shape) is not list or type(buffer) is not int or buffer < 0:
        raise ProtocolError("a tensor among the arguments is [dtype, shape, buffer]")
    return scope.inline(TensorSpec(dtype, tuple(shape), buffer))


def _unpack_tuple(content: Any, scope: Scope, depth: int) -> tuple[Any, ...]:
    return tuple(_items(content, scope, depth, "a tuple"))


def _unpack_slice(content: Any, scope: Scope, depth: int) -> slice:
    bounds = _items(content, scope, depth, "a slice")
    if len(bounds) != 3:
        raise ProtocolError("a slice has three bounds")
    return slice(*bounds)


def _items(content: Any, scope: Scope, depth: int, what: str) -> list[Any]:
    if type(content) is not list:
        raise ProtocolError(f"the content of {what} is an array")
    return [unpack(item, scope, depth) for item in content]


def _unpack_dtype(content: Any, scope: Scope, depth: int) -> torch.dtype:
    if type(content) is not str:
        raise ProtocolError("a dtype is a name")
    return dtype_of(content)


def _unpack_ellipsis(content: Any, scope: Scope, depth: int) -> EllipsisType:
    if type(content) is not int or content != 0:
        raise ProtocolError("an Ellipsis holds 0")
    return Ellipsis


def _unpack_memory_format(content: Any, scope: Scope, depth: int) -> torch.memory_format:
    if type(content) is not str or content not in _MEMORY_FORMATS:
        raise ProtocolError(f"a memory format is one of {', '.join(_MEMORY_FORMATS)}")
    return _MEMORY_FORMATS[content]


def _unpack_device(content: Any, scope: Scope, depth: int) -> torch.device:
    if type(content) is not str or content not in scope.devices:
        raise OperationRefused(f"the device {content!r:.20}", f"this worker has {', '.join(scope.devices)}")
    return torch.device(content)


def _unpack_layout(content: Any, scope: Scope, depth: int) -> torch.layout:
    if content != "strided":
        raise ProtocolError("the layout of a tensor is strided")
    return torch.strided


def _unpack_complex(content: Any, scope: Scope, depth: int) -> complex:
    if type(content) is not list or len(content) != 2 or any(type(part) is not float for part in content):
        raise ProtocolError("a complex number is two floats")
    return complex(*content)


def _unpack_batch(content: Any, scope: Scope, depth: int) -> Any:
    return scope.batch(_rule(content))


def _unpack_extent(content: Any, scope: Scope, depth: int) -> Any:
    if type(content) not in (list, tuple) or len(content) != 3:
        raise ProtocolError("a number that depends on an extent is [tensor, dimension, rule]")
    id, dimension, rule = content
    if type(id) is not int or not 0 < id <= MAX_INT or type(dimension) is not int or not 0 <= dimension < MAX_RANK:
        raise ProtocolError("an extent is that of a tensor, an int of 1 or more, along a dimension from 0")
    return scope.extent(id, dimension, _rule(rule))


def _rule(content: Any) -> Rule:
    if not is_rule(content):
        raise ProtocolError("a number that depends on a size is a multiple from 1, a polynomial or another known rule")
    return content if type(content) is int else tuple(content)


_UNPACKERS: dict[str, Callable[[Any, Scope, int], Any]] = {
    "p": _unpack_reference,
    "x": _unpack_inline,
    "t": _unpack_tuple,
    "d": _unpack_dtype,
    "s": _unpack_slice,
    "e": _unpack_ellipsis,
    "m": _unpack_memory_format,
    "v": _unpack_device,
    "l": _unpack_layout,
    "c": _unpack_complex,
    "b": _unpack_batch,
    "n": _unpack_extent,
}
