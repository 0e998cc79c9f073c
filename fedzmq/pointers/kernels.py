"""Functions that are learned from a run of their own kernels on small tensors of ones, as fakes would cost a second.

Fakes load torch's compiler, which a program without an optimizer never needs otherwise; and a kernel tells of wrong
dtypes, or of strides, what a fake does not. Listed is what any value will do for: nothing that searches, draws or
counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.pointers.metadata import Meta
from fedzmq.pointers.signature import LOOSE_INTS, SETITEM

LARGEST = 1 << 21  # elements of all operands, and of what they are broadcast to: a few milliseconds
LARGEST_PRODUCT = 1 << 20  # of the elements of all operands, which bounds what a product of matrices takes
LARGEST_LAYER = 1 << 27  # multiplications of a linear layer: some ten milliseconds

_NAMES = """
    abs absolute neg negative positive sqrt rsqrt square exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh
    asin acos atan atan2 sigmoid relu relu_ softmax log_softmax erf sign sgn floor ceil round trunc frac reciprocal
    abs_ neg_ sqrt_ exp_ log_ tanh_ sigmoid_ square_ floor_ ceil_ round_ reciprocal_ sin_ cos_ zero_ copy_
    __neg__ __pos__ __abs__ __invert__ __and__ __or__ __xor__ __rand__ __ror__ __rxor__ __lshift__ __rshift__
    __iand__ __ior__ __ixor__ bitwise_and bitwise_or bitwise_xor bitwise_not logical_and logical_or logical_not
    logical_xor isnan isinf isfinite maximum minimum copysign lerp lerp_ native_batch_norm
    sum mean prod var std amax amin max min argmax argmin all any cumsum cumprod norm logsumexp sort argsort median
    clone detach contiguous view_as reshape_as expand_as cat stack hstack vstack t t_
    channel_shuffle native_channel_shuffle
    float double half bfloat16 int long short byte bool zeros_like ones_like type_as masked_fill masked_fill_
"""
_PRODUCTS = "matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer addmm addmv addmm_ baddbmm"
# Their numbers may be given as tensors, and then shape the result by values.
_SHAPING = """
    view reshape flatten squeeze unsqueeze transpose permute movedim swapaxes swapdims narrow select chunk split unbind
    flip roll unsqueeze_ squeeze_ transpose_ topk __getitem__
"""
_LAYERS = """
    linear relu relu_ leaky_relu elu gelu silu sigmoid tanh softplus softmax log_softmax mse_loss l1_loss smooth_l1_loss
    huber_loss cross_entropy nll_loss binary_cross_entropy_with_logits layer_norm normalize batch_norm logsigmoid
    max_unpool1d max_unpool2d max_unpool3d multi_margin_loss
"""


def _listed(names: str) -> frozenset[Callable[..., Any]]:
    """Functions of torch and methods of tensors, as far as there are both."""
    found = (getattr(home, name, None) for home in (torch, torch.Tensor) for name in names.split())
    return frozenset(each for each in found if each is not None)


SHAPING = _listed(_SHAPING)
PRODUCTS = _listed(_PRODUCTS)
PLAIN: frozenset[Callable[..., Any]] = (
    LOOSE_INTS.difference({torch.where, torch.Tensor.where})  # of a condition alone it is a search
    | _listed(_NAMES)
    | PRODUCTS
    | SHAPING
    | {getattr(F, name) for name in _LAYERS.split()}
    | {torch.Tensor.T.__get__, torch.Tensor.to, SETITEM}  # type: ignore[attr-defined]  # properties are values to mypy
)


def can_tell(func: Callable[..., Any], args: Sequence[Any], metas: Sequence[Meta]) -> bool:
    """Whether the effect of this call is to be learned from its kernel."""
    if func not in PLAIN or not metas:
        return False
    if func in SHAPING and len(metas) > 1:
        return False
    if func is SETITEM and len(metas) > 1 + isinstance(args[2], torch.Tensor):
        return False
    extents = [meta.shape.numel() for meta in metas]
    if max(sum(extents), _broadcast(metas)) > LARGEST:
        return False
    if func is F.linear and len(metas) > 1:
        weight = metas[1].shape
        return extents[0] * weight[:1].numel() <= min(LARGEST_LAYER, LARGEST * weight[1:].numel())
    return func not in PRODUCTS or math.prod(max(each, 1) for each in extents) <= LARGEST_PRODUCT


def _broadcast(metas: Sequence[Meta]) -> int:
    """How many elements there are once all have the same shape, if they can."""
    return math.prod(map(max, zip_longest(*(reversed(meta.shape) for meta in metas), fillvalue=1)))
