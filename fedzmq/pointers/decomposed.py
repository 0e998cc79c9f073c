"""Calls that a worker does not get as they are, but as the operations that they amount to.

An argument that is a function, or an object of settings, has no form on the wire: what it does with pointers has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.pointers.nesting import mapped
from fedzmq.pointers.remote import ORDINARY, Handler, Remote


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


def _gaussian_nll(
    input: torch.Tensor,
    target: torch.Tensor,
    var: torch.Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Torch looks first whether a variance is negative; here it is `eps`, as all that are smaller are there too."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    if not isinstance(var, torch.Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * torch.ones_like(input)
    elif var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = var.unsqueeze(-1)
        elif input.dim() != var.dim() or [y for x, y in zip(input.size(), var.size(), strict=True) if x != y] != [1]:
            raise ValueError("var is of incorrect size")
    var = var.clone()
    with torch.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _pad_sequence(
    sequences: Sequence[torch.Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if any(each.shape[1:] != sequences[0].shape[1:] for each in sequences):
        return torch.stack(list(sequences), 0 if batch_first else 1)  # which says what is wrong with them
    longest = max(each.shape[0] for each in sequences)
    padded = []
    for each in sequences:
        room = longest - each.shape[0]
        ends = (room, 0) if padding_side == "left" else (0, room)
        padded.append(F.pad(each, (*([0, 0] * (each.dim() - 1)), *ends), value=padding_value) if room else each)
    return torch.stack(padded, 0 if batch_first else 1)


def _chunks_apart(input: torch.Tensor, chunks: int, dim: int = 0) -> Any:
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input.size(dim)
    each = -(-size // chunks)
    if each == 0:
        return torch.split_with_sizes_copy(input, [0] * chunks, dim)
    return torch.split_copy(input, each, dim)


def _of_elements(function: Callable[..., Any]) -> Handler:
    """A kernel that reads as many elements as there are, also where that is one element many times."""

    def written_out(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(input.contiguous(), *args, **kwargs) if 0 in input.stride() else ORDINARY

    return written_out


def _sized(function: Callable[..., Any]) -> Handler:
    """Made from numbers, of which one may be a pointer's.

    A recurrent network begins with as many states as there are packed sequences, which it reads from their sizes: torch
    is told them, a program that can write `.get()` is not.
    """

    def make(*args: Any, **kwargs: Any) -> Any:
        return function(*mapped(args, lambda each: int(each) if isinstance(each, torch.Tensor) else each), **kwargs)

    return make


def _by_shape(method: Callable[..., Any]) -> Handler:
    """Of another tensor the shape alone counts, wherever that lives: what is given is a view, and stays where it is."""

    def shaped(input: torch.Tensor, other: torch.Tensor) -> Any:
        if not isinstance(input, Remote) or input._ref.stream.strict:
            return ORDINARY
        is_beside = isinstance(other, Remote) and other._ref.stream is input._ref.stream
        return ORDINARY if is_beside else method(input, other.shape)

    return shaped


DECOMPOSED: dict[Callable[..., Any], Handler] = {
    F.triplet_margin_with_distance_loss: _triplet_margin_with_distance,
    F.gaussian_nll_loss: _gaussian_nll,
    F.linear_cross_entropy: _linear_cross_entropy,
    **{function: _sized(function) for function in (torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn)},
    torch._C._nn.pad_sequence: _pad_sequence,
    torch.Tensor.expand_as: _by_shape(torch.Tensor.expand),
    torch.Tensor.reshape_as: _by_shape(torch.Tensor.reshape),
    torch.Tensor.view_as: _by_shape(torch.Tensor.view),
    **{
        function: _of_elements(function)
        for function in (torch.median, torch.nanmedian, torch.Tensor.median, torch.Tensor.nanmedian)
    },
    # Parts that share memory, and not the count of writes to it that a backward goes by: as copies they are safe.
    torch.unsafe_chunk: _chunks_apart,
    torch.unsafe_split: torch.split_copy,
    torch.unsafe_split_with_sizes: torch.split_with_sizes_copy,
    torch.Tensor.unsafe_chunk: _chunks_apart,
    torch.Tensor.unsafe_split: torch.split_copy,
    torch.Tensor.unsafe_split_with_sizes: torch.split_with_sizes_copy,
}
