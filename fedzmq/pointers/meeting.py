"""Where operands from different places may meet, and what is said where they may not.

A local operand is shipped to the worker of the others. Operands of different workers meet here, when no gradient would
be lost and their workers let them be read; where one of them is written to, the others come to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from fedzmq.errors import GetNotPermittedError, OperationRefused, TensorsNotCollocatedException
from fedzmq.pointers.effects import Effect
from fedzmq.pointers.graph import Leaf
from fedzmq.pointers.metadata import CONSTANT, INNER
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.signature import filled
from fedzmq.pointers.stream import Stream

HERE = "this process"
GRADIENT_LOST = "the local one requires a gradient, which would be lost"


def place(tensor: torch.Tensor) -> str:
    return f"worker {tensor._ref.stream.worker!r}" if isinstance(tensor, Remote) else HERE


def apart(operation: str, operands: Sequence[torch.Tensor], reason: str = "") -> TensorsNotCollocatedException:
    places: dict[Stream | None, str] = {}
    for operand in operands:
        if isinstance(operand, Remote):
            operand._ref.check_unspent()  # that is what is wrong then
        name, stream = place(operand), operand._ref.stream if isinstance(operand, Remote) else None
        if stream not in places:
            # Two clients may have a worker of the same name each, or two handles of it.
            places[stream] = f"another client's {name}" if name in places.values() else name
    return TensorsNotCollocatedException(operation, tuple(places.values()), reason)


def check_local(operation: str, operands: Sequence[torch.Tensor], grad: bool, strict: bool) -> None:
    """Raises where a local operand may not be shipped to the worker of the others."""
    for operand in operands:
        if isinstance(operand, Remote):
            continue
        if _is_transformed(operand):
            raise OperationRefused(
                operation,
                "a local operand is a value inside torch.func, vmap or forward mode, which cannot travel; "
                "torch.autograd.grad takes gradients, and a product of matrices, einsum or bmm does what vmap does",
            )
        if operand.is_meta or operand.layout is not torch.strided or operand.is_quantized:
            kind = "meta" if operand.is_meta else str(operand.layout).removeprefix("torch.")
            raise OperationRefused(operation, f"a local operand is a {kind} tensor, and only dense ones can travel")
        if strict and operand.dim():  # a tensor without dimensions is a number, as torch sees it too
            raise apart(operation, operands, "the hook is strict")
        if grad and operand.requires_grad:
            raise apart(operation, operands, GRADIENT_LOST)


def _is_transformed(operand: torch.Tensor) -> bool:
    """It carries more than its value: a tangent, or the examples of a batch."""
    if torch._C._functorch.is_functorch_wrapped_tensor(operand):
        return True
    if forward_ad._current_level < 0:
        return False
    return forward_ad.unpack_dual(operand).tangent is not None  # type: ignore[no-untyped-call]


def check_written(operation: str, operands: Sequence[torch.Tensor], effect: Effect) -> None:
    """Raises where a pointer's value would have to be written into a local tensor."""
    for written in effect.written:
        target = operands[written.position]
        if not isinstance(target, Remote):
            raise apart(operation, operands, "the one that is written to is local")
        # One with inplace=True gives back what it wrote.
        if operation.endswith("_") or any(output.alias == written.position for output in effect.outputs):
            _check_view(operation, target._ref)
        if _is_watched(target._ref):
            raise OperationRefused(
                operation,
                "it would write to a tensor whose gradient is hooked or retained, which would then be that of the new "
                "values; write before, or use the form that gives a new tensor",
            )


def _check_view(operation: str, reference: Reference) -> None:
    """Raises, as torch does, for a write in place that a view does not take. On its worker nobody might ask for it."""
    storage = reference.storage
    if storage is None or reference.meta.kind != INNER or not torch.is_grad_enabled():
        return
    if operation == "Tensor.detach_" and reference.id != storage.root:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    if reference.id in storage.sealed:
        raise RuntimeError(
            "this is one of several views that one function gave, as split and unbind do, and such a view cannot be "
            "modified in place where gradients are taken; subscripts and narrow give views that can"
        )
    if isinstance(storage.node, Leaf) and not operation.startswith("nn.init."):  # those write under no_grad
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")


def _is_watched(reference: Reference) -> bool:
    node, storage = reference.node, reference.storage
    if storage is not None and storage.is_watched:
        return True
    return node is not None and node.watched is not None and not isinstance(node, Leaf)


def meet(
    operation: str,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    operands: Sequence[torch.Tensor],
    effect: Effect | None,
) -> Any:
    """Apply an operation whose operands live on two workers or more."""
    remote = [operand for operand in operands if isinstance(operand, Remote)]
    for stream in dict.fromkeys(operand._ref.stream for operand in remote):
        refused = stream.meets_nothing()
        if refused is not None:
            raise refused
        if stream.strict:
            raise apart(operation, remote, "the hook is strict")
    if torch.is_grad_enabled() and any(operand._ref.meta.kind != CONSTANT for operand in remote):
        raise apart(operation, remote, "a gradient would be lost")
    home: Stream | None = None
    if effect is not None and effect.written:
        check_written(operation, operands, effect)
        homes = {operands[written.position]._ref.stream for written in effect.written}  # type: ignore[attr-defined]  # checked above
        if len(homes) > 1:
            raise apart(operation, remote, "more than one of them is written to")
        (home,) = homes
    brought = _brought(operation, [operand for operand in remote if operand._ref.stream is not home], remote)
    replaced = iter([brought.get(id(operand), operand) for operand in operands])
    args = tuple(filled(arg, replaced) for arg in args)
    kwargs = {name: filled(value, replaced) for name, value in kwargs.items()}
    return func(*args, **kwargs)


def _brought(operation: str, away: Sequence[Remote], all_of_them: Sequence[Remote]) -> dict[int, torch.Tensor]:
    values: dict[int, torch.Tensor] = {}
    for stream in dict.fromkeys(operand._ref.stream for operand in away):
        there = [operand for operand in away if operand._ref.stream is stream]
        try:
            fetched = stream.fetch([operand._ref.id for operand in there])
        except GetNotPermittedError as error:
            raise apart(operation, all_of_them, str(error)) from error
        values.update(zip(map(id, there), fetched, strict=True))
    return values
