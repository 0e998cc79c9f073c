"""Functions that do the same to every example of a batch: they are learned from their kernels on two of the examples.

What they make is as long as the batch, and otherwise the same for any. Fakes of most of them load torch's compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.pointers.effects import Effect
from fedzmq.pointers.kernels import LARGEST
from fedzmq.pointers.metadata import Meta, meta

MOST = 1 << 26  # multiplications: a few milliseconds
_TWO = 2  # one has strides of its own, and has no variance

_CONVOLUTIONS: dict[Callable[..., Any], int] = {
    each: dimensions + 2
    for dimensions in (1, 2, 3)
    for home in (torch, F)
    for each in (getattr(home, f"conv{dimensions}d"), getattr(home, f"conv_transpose{dimensions}d"))
}
_POOLS: dict[Callable[..., Any], int] = {
    getattr(F, f"{name}_pool{dimensions}d"): dimensions + 2
    for dimensions in (1, 2, 3)
    for name in ("max", "avg", "adaptive_max", "adaptive_avg")
}
_NORMS: frozenset[Callable[..., Any]] = frozenset(
    {F.batch_norm, torch.batch_norm, F.instance_norm, torch.instance_norm, F.group_norm, torch.group_norm}
)
_NAMES = "relu relu6 leaky_relu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid sigmoid tanh softplus"
_ACTIVATIONS: frozenset[Callable[..., Any]] = frozenset(
    getattr(home, name) for home in (torch, torch.Tensor, F) for name in _NAMES.split() if hasattr(home, name)
)


def two_of(func: Callable[..., Any], metas: Sequence[Meta]) -> list[Meta] | None:
    """The operands' metadata with two examples in place of all; None where they do not tell the effect."""
    if not metas:
        return None
    batch, *others = metas
    is_any = func in _NORMS or (func in _ACTIVATIONS and not others)
    dimensions = len(batch.shape) if is_any else _CONVOLUTIONS.get(func) or _POOLS.get(func) or 0
    if dimensions < 2 or len(batch.shape) != dimensions or batch.is_conj or batch.is_neg:
        return None
    one = batch.shape[1:].numel()
    if batch.stride[0] != one or _TWO * one > LARGEST:  # examples that do not lie side by side
        return None
    if func in _CONVOLUTIONS and others and _TWO * batch.shape[2:].numel() * others[0].shape.numel() > MOST:
        return None
    return [_of(batch, min(batch.shape[0], _TWO)), *others]


def grown(effect: Effect, examples: int) -> Effect:
    """The effect on so many examples."""
    outputs = tuple([replace(each, meta=_of(each.meta, examples)) for each in effect.outputs])
    single = None if effect.single is None else _of(effect.single, examples)
    written = tuple(
        [each if each.position else replace(each, meta=_of(each.meta, examples)) for each in effect.written]
    )
    return replace(effect, outputs=outputs, written=written, single=single)


def _of(one: Meta, examples: int) -> Meta:
    return meta(torch.Size((examples, *one.shape[1:])), one.dtype, one.stride, one.kind)
