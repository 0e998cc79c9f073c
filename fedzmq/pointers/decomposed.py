"""Calls that a worker does not get as they are, but as the operations that they amount to.

An argument that is a function, or an object of settings, has no form on the wire: what it does with pointers has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.errors import OperationRefused
from fedzmq.pointers.refusals import name_of
from fedzmq.pointers.remote import ORDINARY, Handler


def into_out(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`out=`, as the copy that it amounts to where the shape is right."""
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
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
    return out if single else type(result)(targets)


def _check_target(func: Callable[..., Any], target: torch.Tensor, source: torch.Tensor) -> None:
    name = name_of(func)
    if target.shape != source.shape:
        shapes = f"{tuple(target.shape)}, and the result {tuple(source.shape)}"
        raise OperationRefused(name, f"out= has shape {shapes}: it would resize memory that others may share")
    if torch.is_grad_enabled() and (target.requires_grad or source.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    if not torch.can_cast(source.dtype, target.dtype):
        raise RuntimeError(f"result type {source.dtype} can't be cast to the desired output type {target.dtype}")


def _triplet_margin_with_distance(
    anchor: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    *,
    distance_function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    if distance_function is None:
        return ORDINARY
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        ranks = f"{anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D"
        raise RuntimeError(f"anchor, positive and negative must have the same number of dimensions, got anchor {ranks}")
    near, far = distance_function(anchor, positive), distance_function(anchor, negative)
    if swap:
        far = torch.minimum(far, distance_function(positive, negative))
    loss = torch.clamp_min(margin + near - far, 0)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _linear_cross_entropy(*args: Any, options: Any = None, **kwargs: Any) -> Any:
    # The options say in what pieces it is computed, which is the worker's affair.
    return ORDINARY if options is None else F.linear_cross_entropy(*args, **kwargs)


DECOMPOSED: dict[Callable[..., Any], Handler] = {
    F.triplet_margin_with_distance_loss: _triplet_margin_with_distance,
    F.linear_cross_entropy: _linear_cross_entropy,
}
