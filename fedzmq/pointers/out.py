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
from fedzmq.pointers.rehearsal import can_be_tried, tried
from fedzmq.pointers.remote import Remote, known
from fedzmq.pointers.stream import Stream

Create = Callable[[Stream, type[Remote], Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

# Those that add up, or multiply, in the dtype of out, where all others compute in their own and copy.
_IN_ANY = frozenset({torch.sum, torch.prod, torch.cumsum, torch.cumprod})
_IN_FLOATS = frozenset({torch.mean, torch.nanmean, torch.nansum, torch.std, torch.var})
_SILENT = frozenset({torch.split_with_sizes_copy, torch.unbind_copy})  # with out= they give nothing


def into_out(create: Create, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Raises OperationRefused where memory would be resized that others may share."""
    out = kwargs["out"]
    others = {name: value for name, value in kwargs.items() if name != "out"}
    if isinstance(out, Remote) and not any(isinstance(each, torch.Tensor) for each in leaves([args, others])):
        # Numbers alone become what they are to be written to, where they are to be written.
        result = create(out._ref.stream, type(out), func, args, {"dtype": out.dtype, **others})
    else:
        result = func(*_as_added_up(func, args, others, out), **others)
    if isinstance(out, torch.Tensor) != isinstance(result, torch.Tensor):
        raise OperationRefused(name_of(func), "out= names another number of tensors than it gives")
    single = isinstance(out, torch.Tensor)
    targets, sources = ([out], [result]) if single else (list(out), list(result))
    if len(targets) != len(sources):
        raise OperationRefused(name_of(func), "out= names another number of tensors than it gives")
    pairs = list(zip(targets, sources, strict=True))
    for target, source in pairs:
        _check_target(func, target, source)
    if any(_is_unlike(target, source) for target, source in pairs):
        _check_kernel(func, args, kwargs, pairs)
    with torch.no_grad():
        for target, source in pairs:
            if target.shape == source.shape:
                target.copy_(source)
            else:
                set_data(target, source.to(target.dtype))
    if func in _SILENT:
        return None
    return out if single else _kind(type(result))(targets)


def _as_added_up(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> tuple[Any, ...]:
    """The arguments, of which the first is converted where torch would convert each number before it adds it."""
    value = args[0] if args else None
    if func is torch.normal:  # it draws in the dtype of out
        return tuple([each.to(out.dtype) if isinstance(each, Remote) and _holds(out, each) else each for each in args])
    if func not in _IN_ANY | _IN_FLOATS or not isinstance(value, Remote) or kwargs.get("dtype") is not None:
        return args
    given, wanted = value.dtype, out.dtype
    if given is wanted or (given.is_complex and not wanted.is_complex):
        return args
    if func in _IN_FLOATS and (
        given.is_complex != wanted.is_complex or not (wanted.is_floating_point or wanted.is_complex)
    ):
        return args
    if func is torch.mean and not _holds(out, value):
        return args
    return (value.to(wanted), *args[1:])


def _holds(out: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether `out` can hold all that a tensor of the dtype of `value` can."""
    return torch.promote_types(value.dtype, out.dtype) is out.dtype


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


def _is_unlike(target: torch.Tensor, source: torch.Tensor) -> bool:
    return target.dtype is not source.dtype or _is_tracked(target, source)


def _is_tracked(target: torch.Tensor, source: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and (target.requires_grad or source.requires_grad)


def _check_kernel(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> None:
    """Raises what the kernel does: whether it casts its result, and whether it has a gradient, it alone knows."""
    operands = list({id(each): each for each in leaves([args, kwargs]) if isinstance(each, torch.Tensor)}.values())
    metas = [known(operand) for operand in operands]
    if not can_be_tried(metas):
        for pair in pairs:
            _check_pair(name_of(func), *pair)
        return

    def call(tensors: Sequence[torch.Tensor], keywords: dict[str, Any]) -> Any:
        stand_ins = {id(operand): tensor for operand, tensor in zip(operands, tensors, strict=True)}

        def replaced(value: Any) -> Any:
            return stand_ins.get(id(value), value)

        return func(*mapped(args, replaced), **mapped(keywords, replaced))

    others = {name: value for name, value in kwargs.items() if name != "out"}
    found = tried(lambda tensors: call(tensors, kwargs), metas)
    if found is not None and str(found) != str(tried(lambda tensors: call(tensors, others), metas)):
        raise found


def _check_pair(name: str, target: torch.Tensor, source: torch.Tensor) -> None:
    """Raises what nearly all kernels do, for operands that are too large to be tried."""
    if _is_tracked(target, source):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    if not torch.can_cast(source.dtype, target.dtype):
        raise RuntimeError(f"result type {source.dtype} can't be cast to the desired output type {target.dtype}")
