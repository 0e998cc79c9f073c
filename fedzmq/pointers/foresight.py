"""What a call will do, as far as that can be known here, before its effect has been learned."""

from __future__ import annotations

from functools import partial

import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.effects import written_keywords
from fedzmq.pointers.alike import grown, two_of
from fedzmq.pointers.effects import Effect, Output, Unforeseeable, Written
from fedzmq.pointers.kernels import can_tell
from fedzmq.pointers.metadata import CONSTANT, INNER
from fedzmq.pointers.modes import Modes
from fedzmq.pointers.operation_call import OperationCall
from fedzmq.pointers.rehearsal import check, in_its_words
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.signature import SETITEM, count_operands
from fedzmq.pointers.stream import Stream

# In place on lists, and without a kernel for fakes: they change no metadata and give nothing back.
BLIND = frozenset(getattr(torch, name) for name in ("_fused_sgd_",) if hasattr(torch, name))


def foreseen(stream: Stream, call: OperationCall, modes: Modes) -> Effect | None:
    """None where the worker alone can tell. Raises what torch raises for such operands."""
    return _foreseen(stream, call) or _in_place_unseen(call, modes)


def _foreseen(stream: Stream, call: OperationCall) -> Effect | None:
    """The effect as far as it can be known here, where a fake that refuses what a kernel does is not believed."""
    try:
        return _learn(stream, call)
    except Unforeseeable:
        return None
    except Exception as error:
        found = in_its_words(error, call.tried_on, call.metas)
        if found is None:
            return None
        raise found from None


def _learn(stream: Stream, call: OperationCall) -> Effect:
    args, kwargs = call.args, call.kwargs
    # Without operands nothing else says where, and a fake of it costs nothing however large.
    on_fakes = call.on if call.operands else partial(call.on, device=stream.effects.device)
    # What no version counter shows, such as the running statistics of batch_norm.
    positions = CATALOG.writes_now(call.number, args, kwargs)
    names = written_keywords(call.operation) if positions else ()
    into = [position in positions for position in range(len(args))] + [name in names for name in kwargs]
    marks: list[bool] = []
    for value, is_written in zip((*args, *kwargs.values()), into, strict=True):
        marks += [is_written] * count_operands(value)
    written = [operand for operand, is_written in enumerate(marks) if is_written]
    metas = call.metas
    check(call.func, call.tried_on, metas)

    def of_all() -> Effect:
        from_kernel = can_tell(call.func, args, metas)
        return stream.effects.learn(call.number, metas, on_fakes, written, call.func in BLIND, from_kernel)

    few = two_of(call.func, metas)
    if few is None:
        return of_all()
    try:
        effect = stream.effects.learn(call.number, few, on_fakes, written, from_kernel=True)
    except Exception:
        of_all()  # which names the shapes as they are, if it raises too
        raise
    return grown(effect, metas[0].shape[0])


def _in_place_unseen(call: OperationCall, modes: Modes) -> Effect | None:
    """The effect of an operation on its first argument that cannot be foreseen: its metadata stays what it was."""
    first = call.args[0] if call.args else None
    targets = first if isinstance(first, (list, tuple)) else [first]
    if CATALOG.writes_now(call.number, call.args, call.kwargs) != (0,) or not targets:
        return None
    tracked = modes.grad and not call.operation.startswith("nn.init.")
    beside = tuple(range(len(targets), len(call.operands)))
    into: list[Written] = []
    for position, target in enumerate(targets):
        if not isinstance(target, Remote):
            return None
        before, sources = target._ref.meta, (position, *beside)
        feeding = [call.operands[source] for source in sources]
        wanted = any(isinstance(each, Remote) and each._ref.meta.kind != CONSTANT for each in feeding)
        after = before.of_kind(INNER) if tracked and wanted and before.kind == CONSTANT else before
        into.append(Written(position, after, sources))
    if call.func is SETITEM:
        return Effect(call.number, (), tuple(into), lambda tensors: None, False)
    same = tuple([Output(each.meta, each.position, -1, each.sources) for each in into])
    if targets is first:
        return Effect(call.number, same, tuple(into), list, False)
    return Effect(call.number, same, tuple(into), lambda tensors: tensors[0], True)
