"""One operation on pointers, however its arguments are nested and wherever its operands live: the general path.

The pointer's own fast path serves the calls that need none of this, and keeps to the same records and effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch

from fedzmq.errors import OperationRefused
from fedzmq.operations.arguments import pack
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.effects import Effect, Output, Unforeseeable
from fedzmq.pointers.graph import Node
from fedzmq.pointers.meeting import check_local, check_written, meet
from fedzmq.pointers.metadata import CONSTANT, INNER, LEAF, Meta, meta
from fedzmq.pointers.modes import Modes, ambient
from fedzmq.pointers.origins import origin
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.shipment import Shipment
from fedzmq.pointers.signature import GETITEM, SETITEM, Signature, count_operands, filled
from fedzmq.pointers.stream import Stream
from fedzmq.tensors.dtypes import dtype_of

# In place on lists, and without a kernel for fakes: they change no metadata and give nothing back.
BLIND = frozenset(getattr(torch, name) for name in ("_fused_sgd_",) if hasattr(torch, name))


def apply(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs.get("out") is not None:
        return _into_out(func, args, kwargs)
    # The worker computes where it computes: a device in a program is that of the pointers it read it from.
    kwargs = {name: value for name, value in kwargs.items() if name not in ("device", "out")}
    number = CATALOG.numbers.get(func)
    if number is None:
        raise OperationRefused(name_of(func))
    operation = CATALOG.names[number]
    signature = Signature(func)
    parts = [func, *_parts(func, signature, args)]
    for name, value in kwargs.items():
        parts.append(name)
        parts.append(signature.of(value))
    operands = signature.operands
    first = next((operand for operand in operands if isinstance(operand, Remote)), None)
    if first is None:
        raise OperationRefused(operation, "a pointer is hidden among its arguments where it cannot be found")
    stream = first._ref.stream
    modes = ambient(stream.device.type)
    check_local(operation, operands, modes.grad, stream.strict)
    apart = any(isinstance(operand, Remote) and operand._ref.stream is not stream for operand in operands)
    parts.append(modes)
    key = tuple(parts)
    effect = stream.effects.get(key)
    if effect is None:
        try:
            effect = _learn(stream, func, number, args, kwargs, operands)
        except Unforeseeable:
            if apart:
                return meet(operation, func, args, kwargs, operands, None)
            return _probe(stream, number, modes, args, kwargs, signature)
        stream.effects.add(key, effect)
    if apart:
        return meet(operation, func, args, kwargs, operands, effect)
    if effect.written:
        check_written(operation, operands, effect)
    return _perform(stream, effect, modes, args, kwargs, signature)


def name_of(func: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    known = torch.overrides.resolve_name(func)
    return known or getattr(func, "__qualname__", None) or repr(func)


def _into_out(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`out=`, as the copy that it amounts to where the shape is right."""
    out = kwargs["out"]
    result = func(*args, **{name: value for name, value in kwargs.items() if name != "out"})
    if isinstance(out, torch.Tensor) != isinstance(result, torch.Tensor):
        raise OperationRefused(name_of(func), "out= names another number of tensors than it gives")
    pairs = [(out, result)] if isinstance(out, torch.Tensor) else list(zip(out, result, strict=True))
    for target, source in pairs:
        if target.shape != source.shape:
            raise OperationRefused(name_of(func), f"out= has shape {tuple(target.shape)}, not {tuple(source.shape)}")
        target.copy_(source)
    return out


def _parts(func: Callable[..., Any], signature: Signature, args: tuple[Any, ...]) -> list[Any]:
    if (func is GETITEM or func is SETITEM) and isinstance(args[0], Remote):
        parts = [signature.of(args[0]), signature.of_index(args[1], args[0]._ref.meta.shape)]
        # A number that is stored shapes nothing, whatever its value.
        return parts + [int if type(value) is int else signature.of(value) for value in args[2:]]
    return [signature.of(arg) for arg in args]


def _learn(
    stream: Stream,
    func: Callable[..., Any],
    number: int,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    operands: Sequence[torch.Tensor],
) -> Effect:
    def call(fakes: Sequence[torch.Tensor]) -> Any:
        replaced = iter(fakes)
        positional = [filled(arg, replaced) for arg in args]
        return func(*positional, **{name: filled(value, replaced) for name, value in kwargs.items()})

    # What no version counter shows, such as the running statistics of batch_norm.
    ends = list(accumulate(count_operands(arg) for arg in args))
    written = [
        operand
        for position in CATALOG.writes_now(number, args, kwargs)
        if position < len(args)
        for operand in range(ends[position - 1] if position else 0, ends[position])
        if isinstance(operands[operand], Remote)
    ]
    return stream.effects.learn(number, [_meta(operand) for operand in operands], call, written, func in BLIND)


def _meta(operand: torch.Tensor) -> Meta:
    if isinstance(operand, Remote):
        return operand._ref.meta
    return meta(operand.shape, operand.dtype, operand.stride(), CONSTANT)


def _perform(
    stream: Stream,
    effect: Effect,
    modes: Modes,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    signature: Signature,
) -> Any:
    operands = signature.operands
    shipment = Shipment(signature.elements)
    arguments = _arguments(args, kwargs, shipment)  # raises, if at all, before anything is changed here
    references = _references(operands)
    cls = _pointer_class(operands)
    tensors: list[torch.Tensor] = []
    ids: list[int] = []
    views: list[tuple[Reference, Reference]] = []
    for output in effect.outputs:
        if output.alias >= 0:
            tensors.append(operands[output.alias])
            ids.append(0)
            continue
        reference = _new(stream, output, references)
        base = references[output.view] if output.view >= 0 else None
        if base is not None:
            reference.is_view_of(base)
            views.append((reference, base))
        tensors.append(cls.around(reference))
        ids.append(reference.id)
    written = _write(effect, references, modes)
    if any(ids) or written:
        result: int | list[int] = (ids[0] if effect.bare else ids) if ids else 0
        stream.ship((effect.operation, result, *arguments), modes, origin(), shipment)
        stream.noticed(written, views)
    return effect.build(tensors)


def _references(operands: Sequence[torch.Tensor]) -> list[Reference | None]:
    return [operand._ref if isinstance(operand, Remote) else None for operand in operands]


def _pointer_class(operands: Sequence[torch.Tensor]) -> type[Remote]:
    return next(type(operand) for operand in operands if isinstance(operand, Remote))


def _new(stream: Stream, output: Output, references: Sequence[Reference | None]) -> Reference:
    reference = Reference(stream, stream.new_id(), output.meta)
    if output.meta.kind == INNER:
        reference.node = Node(_nodes(references, output.sources))
    elif output.meta.kind == LEAF:
        reference.become_leaf()
    return reference


def _write(effect: Effect, references: Sequence[Reference | None], modes: Modes) -> list[Reference]:
    # All histories first: what is written to may itself be among the sources of another.
    histories = [_nodes(references, written.sources) for written in effect.written]
    targets: list[Reference] = []
    for written, history in zip(effect.written, histories, strict=True):
        target = references[written.position]
        if target is not None:
            node = Node(history) if written.meta.kind == INNER and modes.grad else None
            target.written(written.meta, node)
            targets.append(target)
    return targets


def _nodes(references: Sequence[Reference | None], sources: tuple[int, ...] | None) -> tuple[Node, ...]:
    chosen = references if sources is None else [references[index] for index in sources]
    return tuple([each.node for each in chosen if each is not None and each.node is not None])


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any], shipment: Shipment) -> tuple[Any, ...]:
    """The end of an operation's record: mask, arguments and, where there are any, keyword arguments."""
    mask = 0
    values: list[Any] = []
    for index, arg in enumerate(args):
        if isinstance(arg, Remote):
            mask |= 1 << index
            values.append(arg._ref.id)
        else:
            values.append(pack(arg, shipment.attach))
    if kwargs:
        return (mask, values, {name: pack(value, shipment.attach) for name, value in kwargs.items()})
    return (mask, values)


def _probe(
    stream: Stream,
    number: int,
    modes: Modes,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    signature: Signature,
) -> Any:
    """The one kind of operation that waits: only the values tell how many outputs there are, or of what shape."""
    shipment = Shipment(signature.elements)
    record = (number, 0, *_arguments(args, kwargs, shipment))
    first, described = stream.probe(record, modes, origin(), shipment)
    sources = _nodes(_references(signature.operands), None)
    cls = _pointer_class(signature.operands)
    outputs: list[Remote] = []
    for index, tensor in enumerate(described.tensors):
        kind = INNER if tensor.requires_grad else CONSTANT
        known = meta(torch.Size(tensor.shape), dtype_of(tensor.dtype), tuple(tensor.stride), kind)
        reference = Reference(stream, first + index, known, Node(sources) if kind else None)
        outputs.append(cls.around(reference))
    return outputs[0] if described.bare and outputs else tuple(outputs)
