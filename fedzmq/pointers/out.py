"""`out=`, as the copy that it amounts to: into a tensor of the right shape, or of no elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fedzmq.errors import OperationRefused
from fedzmq.pointers.conversions import set_data
from fedzmq.pointers.meeting import apart
from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.refusals import name_of
from fedzmq.pointers.rehearsal import known, tried
from fedzmq.pointers.remote import Remote


def into_out(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Raises OperationRefused where memory would be resized that others may share."""
    out = kwargs["out"]
    result = func(*args, **{name: value for name, value in kwargs.items() if name != "out"})
    if isinstance(out, torch.Tensor) != isinstance(result, torch.Tensor):
        raise OperationRefused(name_of(func), "out= names another number of tensors than it gives")
    single = isinstance(out, torch.Tensor)
    targets, sources = ([out], [result]) if single else (list(out), list(result))
    if len(targets) != len(sources):
        raise OperationRefused(name_of(func), "out= names another number of tensors than it gives")
    for target, source in zip(targets, sources, strict=True):
        _check_target(func, target, source)
    if any(target.dtype is not source.dtype for target, source in zip(targets, sources, strict=True)):
        _check_dtypes(func, args, kwargs)
    for target, source in zip(targets, sources, strict=True):
        if target.shape == source.shape:
            target.copy_(source)
        else:
            set_data(target, source.to(target.dtype))
    return out if single else _kind(type(result))(targets)


def _kind(kind: type) -> Any:
    """torch has names of its own for the tuples that were written to."""
    return getattr(torch.return_types, f"{kind.__name__}_out", kind)


def _check_target(func: Callable[..., Any], target: torch.Tensor, source: torch.Tensor) -> None:
    name = name_of(func)
    if not isinstance(target, Remote):
        raise apart(name, [target, source], "the one that is written to is local")
    if target.shape != source.shape and target.numel():
        shapes = f"{tuple(target.shape)}, and the result {tuple(source.shape)}"
        raise OperationRefused(name, f"out= has shape {shapes}: it would resize memory that others may share")
    if torch.is_grad_enabled() and (target.requires_grad or source.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    if not torch.can_cast(source.dtype, target.dtype):
        raise RuntimeError(f"result type {source.dtype} can't be cast to the desired output type {target.dtype}")


def _check_dtypes(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raises what the kernel does that casts no result: whether it does is known to the kernel alone."""
    operands = list({id(each): each for each in leaves([args, kwargs]) if isinstance(each, torch.Tensor)}.values())

    def call(tensors: Sequence[torch.Tensor], keywords: dict[str, Any]) -> Any:
        stand_ins = {id(operand): tensor for operand, tensor in zip(operands, tensors, strict=True)}

        def replaced(value: Any) -> Any:
            return stand_ins.get(id(value), value)

        return func(*mapped(args, replaced), **mapped(keywords, replaced))

    metas = [known(operand) for operand in operands]
    found = tried(lambda tensors: call(tensors, kwargs), metas)
    others = {name: value for name, value in kwargs.items() if name != "out"}
    if found is not None and tried(lambda tensors: call(tensors, others), metas) is None:
        raise found
