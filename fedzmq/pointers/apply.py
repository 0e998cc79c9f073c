"""One operation on pointers, however its arguments are nested and wherever its operands live: the general path.

The pointer's own fast path serves the calls that need none of this, and keeps to the same records and effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fedzmq.errors import OperationRefused, RemoteError
from fedzmq.operations.arguments import pack
from fedzmq.pointers.arrays import without_arrays
from fedzmq.pointers.decomposed import DECOMPOSED
from fedzmq.pointers.effects import Effect, Output
from fedzmq.pointers.foresight import foreseen
from fedzmq.pointers.graph import Node
from fedzmq.pointers.meeting import check_local, check_written, meet
from fedzmq.pointers.metadata import CONSTANT, INNER, LEAF, meta
from fedzmq.pointers.modes import Modes, ambient
from fedzmq.pointers.operands import Operands
from fedzmq.pointers.operation_call import OperationCall
from fedzmq.pointers.origins import origin
from fedzmq.pointers.out import into_out
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.rehearsal import at_home
from fedzmq.pointers.remote import ORDINARY, SCRIPT, Composite, Remote, is_traced
from fedzmq.pointers.stream import Stream
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.messages import Described


def apply(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Of pointers, on the worker where they are."""
    if kwargs.get("out") is not None:
        return into_out(create, func, args, kwargs)
    in_parts = DECOMPOSED.get(func)
    if in_parts is not None:
        result = in_parts(*args, **kwargs)
        if result is not ORDINARY:
            return result
    # The worker computes where it computes: a device in a program is that of the pointers it read it from.
    kwargs = {name: value for name, value in kwargs.items() if name not in ("device", "out")}
    call = OperationCall(func, without_arrays(func, args), kwargs)
    if any(isinstance(operand, Composite) for operand in call.operands):
        return NotImplemented  # torch asks that one next
    first = next((operand for operand in call.operands if isinstance(operand, Remote)), None)
    if first is None:
        raise OperationRefused(call.operation, "a pointer is hidden among its arguments where it cannot be found")
    return _perform_or_learn(call, first._ref.stream, type(first))


def create(
    stream: Stream, cls: type[Remote], func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What a function of no operands gives (`torch.zeros`, `torch.rand`), made on the stream's worker."""
    kwargs = {name: value for name, value in kwargs.items() if name != "device"}
    if stream.device.type != "cpu":
        kwargs["device"] = stream.device
    return _perform_or_learn(OperationCall(func, args, kwargs, creates=True), stream, cls)


def _perform_or_learn(call: OperationCall, stream: Stream, cls: type[Remote]) -> Any:
    operands = call.operands
    modes = ambient(stream.device.type)
    check_local(call.operation, operands, modes.grad, stream.strict)
    apart = any(isinstance(operand, Remote) and operand._ref.stream is not stream for operand in operands)
    key = (*call.parts, modes)
    effect = stream.effects.get(key)
    if effect is None:
        if is_traced():  # what is learned now would be wrong afterwards
            raise OperationRefused("torch.jit.trace", SCRIPT)
        effect = foreseen(stream, call, modes)
        if effect is None and not apart:
            effect = stream.supposed(call)
            if effect is not None:
                return _perform(stream, effect, modes, call, cls)
        if effect is None:
            if apart:
                return meet(call.operation, call.func, call.args, call.kwargs, operands, None)
            return _probe(stream, modes, call, cls)
        stream.effects.add(key, effect)
    if apart:
        return meet(call.operation, call.func, call.args, call.kwargs, operands, effect)
    if effect.written:
        check_written(call.operation, operands, effect)
    return _perform(stream, effect, modes, call, cls)


def _perform(stream: Stream, effect: Effect, modes: Modes, call: OperationCall, cls: type[Remote]) -> Any:
    operands = call.operands
    shipment = Operands(call.signature.elements)
    arguments = _arguments(call, shipment)  # raises, if at all, before anything is changed here
    references = _references(operands)
    tensors: list[torch.Tensor] = []
    ids: list[int] = []
    views: list[tuple[int, int]] = []
    for output in effect.outputs:
        if output.alias >= 0:
            tensors.append(operands[output.alias])
            ids.append(0)
            continue
        reference = _new(stream, output, references)
        base = references[output.view] if output.view >= 0 else None
        if base is not None:
            reference.is_view_of(base, is_sealed=output.is_sealed)
            views.append((reference.id, base.id))
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


def _new(stream: Stream, output: Output, references: Sequence[Reference | None]) -> Reference:
    reference = Reference(stream, stream.new_id(), output.meta)
    if output.meta.kind == INNER:
        reference.node = Node(_nodes(references, output.sources))
    elif output.meta.kind == LEAF:
        reference.become_leaf()
    return reference


def _write(effect: Effect, references: Sequence[Reference | None], modes: Modes) -> list[int]:
    # All histories first: what is written to may itself be among the sources of another.
    histories = [_nodes(references, written.sources) for written in effect.written]
    written_ids: list[int] = []
    for written, history in zip(effect.written, histories, strict=True):
        target = references[written.position]
        if target is not None:
            node = Node(history) if written.meta.kind == INNER and modes.grad else None
            target.written(written.meta, node)
            written_ids.append(target.id)
    return written_ids


def _nodes(references: Sequence[Reference | None], sources: tuple[int, ...] | None) -> tuple[Node, ...]:
    chosen = references if sources is None else [references[index] for index in sources]
    return tuple([each.node for each in chosen if each is not None and each.node is not None])


def _arguments(call: OperationCall, shipment: Operands) -> tuple[Any, ...]:
    """The end of an operation's record: mask, arguments and, where there are any, keyword arguments."""
    mask = 0
    values: list[Any] = []
    for index, arg in enumerate(call.args):
        if isinstance(arg, Remote):
            mask |= 1 << index
            values.append(arg._ref.id)
        else:
            values.append(pack(arg, shipment.attach))
    if call.kwargs:
        return (mask, values, {name: pack(value, shipment.attach) for name, value in call.kwargs.items()})
    return (mask, values)


def _probe(stream: Stream, modes: Modes, call: OperationCall, cls: type[Remote]) -> Any:
    """The one kind of operation that waits: only the values tell how many outputs there are, or of what shape."""
    shipment = Operands(call.signature.elements)
    record = (call.number, 0, *_arguments(call, shipment))
    try:
        first, described = stream.probe(record, modes, origin(), shipment, _more_outputs(call))
    except RemoteError as error:
        raise at_home(error, call.tried_on, call.metas) from error
    outputs = described_outputs(stream, cls, first, described, call.operands, modes)
    return outputs if described.bare else _UNFORESEEN.get(call.func, tuple)(outputs)


def _more_outputs(call: OperationCall) -> int:
    """A list gives as many as there are in it; others split by numbers, or count along columns."""
    longest = max((each.shape[-1] for each in call.operands[-1:] if each.dim()), default=0)
    return len(call.operands) + (longest if call.func in _SPREADING else 0)


def described_outputs(
    stream: Stream,
    cls: type[Remote],
    first: int,
    described: Described,
    operands: Sequence[torch.Tensor],
    modes: Modes,
) -> Any:
    """Pointers to what a worker made of these operands: one where it is bare, else a tuple."""
    sources = _nodes(_references(operands), None)
    outputs: list[Remote] = []
    for index, tensor in enumerate(described.tensors):
        kind = (INNER if modes.grad else LEAF) if tensor.requires_grad else CONSTANT
        known = meta(torch.Size(tensor.shape), dtype_of(tensor.dtype), tuple(tensor.stride), kind)
        reference = Reference(stream, first + index, known, Node(sources) if kind == INNER else None)
        if kind == LEAF:
            reference.become_leaf()
        outputs.append(cls.around(reference))
    return outputs[0] if described.bare and outputs else tuple(outputs)


_SPREADING = frozenset({torch.tensor_split, torch.Tensor.tensor_split, torch.histogramdd})
# The kinds of tuple that come from operations of unforeseen outputs.
_UNFORESEEN: dict[Callable[..., Any], Callable[[list[Remote]], Any]] = {
    torch.linalg.lstsq: torch.return_types.linalg_lstsq,  # type: ignore[attr-defined]  # torch does not declare it
    torch.histogramdd: lambda outputs: torch.return_types.histogramdd((outputs[0], tuple(outputs[1:]))),
}
