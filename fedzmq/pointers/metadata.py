"""What a client knows of a tensor that it does not hold: shape, dtype, strides, and its place in a gradient.

Equal metadata is one object, so that the effect cache can key on identity and never compares shapes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import torch

from fedzmq.tensors.buffers import check_dense

CONSTANT: Literal[0] = 0  # requires no grad
LEAF: Literal[1] = 1  # requires grad, and is where gradients gather
INNER: Literal[2] = 2  # requires grad because something before it does

Kind = Literal[0, 1, 2]


class Meta:
    """Interned by `meta`, never built directly. `stride` is what a local run gives; a worker's kernel may differ.

    `is_conj` and `is_neg` say that the memory holds the conjugates of the values, or their negatives.
    """

    __slots__ = ("_order", "dtype", "is_conj", "is_neg", "kind", "shape", "stride")

    def __init__(
        self,
        shape: torch.Size,
        dtype: torch.dtype,
        stride: tuple[int, ...],
        kind: Kind,
        is_conj: bool = False,
        is_neg: bool = False,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.stride = stride
        self.kind = kind
        self.is_conj = is_conj
        self.is_neg = is_neg
        self._order: tuple[int, ...] | Literal[False] | None = False  # which is: nobody has asked

    def __repr__(self) -> str:
        return f"Meta({tuple(self.shape)}, {self.dtype}, {self.stride}, kind={self.kind})"

    @property
    def order(self) -> tuple[int, ...] | None:
        """See `memory_order`."""
        if self._order is False:
            self._order = memory_order(self.shape, self.stride)
        return self._order

    def of_kind(self, kind: Kind) -> Meta:
        if kind == self.kind:
            return self
        return meta(self.shape, self.dtype, self.stride, kind, self.is_conj, self.is_neg)

    def lying(self, stride: tuple[int, ...]) -> Meta:
        return meta(self.shape, self.dtype, stride, self.kind, self.is_conj, self.is_neg)

    def of_gradient(self, kind: Kind = CONSTANT) -> Meta:
        """Of a gradient for such a tensor."""
        return meta(self.shape, self.dtype, self.stride, kind)

    def blank(self, device: torch.device) -> torch.Tensor:
        """A tensor of exactly this metadata, of which nothing but the metadata means anything."""
        plain = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=device)
        if self.kind != INNER:
            blank = self._marked(plain)
            return blank.requires_grad_() if self.kind else blank
        with torch.enable_grad():
            blank = plain.requires_grad_().clone()
            if blank.stride() != self.stride:  # not dense: what a slice or an expansion looks like
                room = 1 + sum((extent - 1) * step for extent, step in zip(self.shape, self.stride, strict=True))
                room = room if self.shape.numel() else 0
                row = torch.empty(room, dtype=self.dtype, device=device, requires_grad=True)
                blank = row.clone().as_strided(self.shape, self.stride)
            return self._marked(blank)

    def ones(self) -> torch.Tensor:
        """A tensor here of these metadata: ones, zeros where it is of integers; a square matrix that has an inverse."""
        made = self.blank(torch.device("cpu"))
        with torch.no_grad():
            memory = made.detach()
            if 0 in memory.stride() and memory.numel():  # elements that share their memory are not written to as such
                memory = memory.as_strided(
                    [extent if step else 1 for extent, step in zip(self.shape, self.stride, strict=True)], self.stride
                )
            memory.fill_(1 if made.is_floating_point() or made.is_complex() else 0)
            is_square = made.dim() > 1 and made.shape[-1] == made.shape[-2]
            if is_square and made.is_floating_point() and made.is_contiguous():
                made.diagonal(0, -2, -1).add_(1)
        return made

    def _marked(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.conj() if self.is_conj else tensor
        return torch._neg_view(tensor) if self.is_neg else tensor

    def is_contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> bool:
        blank = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")
        return blank.is_contiguous(memory_format=memory_format)


class Key(NamedTuple):
    shape: torch.Size
    dtype: torch.dtype
    stride: tuple[int, ...]
    kind: Kind
    is_conj: bool
    is_neg: bool


@lru_cache(maxsize=65_536)
def _interned(key: Key) -> Meta:
    return Meta(*key)


def meta(
    shape: torch.Size,
    dtype: torch.dtype,
    stride: tuple[int, ...],
    kind: Kind = CONSTANT,
    is_conj: bool = False,
    is_neg: bool = False,
) -> Meta:
    return _interned(Key(shape, dtype, stride, kind, is_conj, is_neg))


def meta_of(tensor: torch.Tensor) -> Meta:
    """Of a tensor with a value (or a fake one); for a pointer ask its reference."""
    kind: Kind = CONSTANT
    if tensor.requires_grad:
        kind = LEAF if tensor.is_leaf else INNER
    return meta(tensor.shape, tensor.dtype, tensor.stride(), kind, tensor.is_conj(), tensor.is_neg())


def sent_meta(tensor: torch.Tensor, kind: Kind) -> Meta:
    """Of the tensor that a worker makes from this one: a copy, in C order. Raises UsageError where it cannot travel."""
    if tensor.is_nested:  # which has no shape
        check_dense(tensor)
    return meta(tensor.shape, tensor.dtype, contiguous_stride(tensor.shape), kind)


def memory_order(shape: torch.Size, stride: tuple[int, ...]) -> tuple[int, ...] | None:
    """The dimensions of a tensor as its copy's elements lie in memory, where `clone()` makes it; None in C order."""
    if stride == contiguous_stride(shape) or not shape.numel():
        return None
    outer_first = sorted(range(len(shape)), key=lambda dim: (-stride[dim], -shape[dim]))
    if not _is_dense(shape, stride, outer_first):
        outer_first = _kept_order(shape, stride)
    order = tuple(outer_first)
    return None if order == tuple(range(len(shape))) else order


def _is_dense(shape: torch.Size, stride: tuple[int, ...], outer_first: list[int]) -> bool:
    """Its elements lie side by side, each by itself."""
    step = 1
    for dim in reversed([dim for dim in outer_first if shape[dim] != 1]):
        if stride[dim] != step:
            return False
        step *= shape[dim]
    return True


def _kept_order(shape: torch.Size, stride: tuple[int, ...]) -> list[int]:
    """As torch closes gaps: an expanded dimension stays where it is, and of equal steps the shorter one is inner."""
    inner_first = list(reversed(range(len(shape))))
    for place in range(1, len(shape)):
        for before in reversed(range(place)):
            one, other = inner_first[before], inner_first[place]
            if not stride[one] or not stride[other]:
                continue
            if stride[one] < stride[other]:
                break
            if (stride[one], shape[one]) > (stride[other], shape[other]):
                inner_first[before], inner_first[place] = other, one
                place = before
    return inner_first[::-1]


def contiguous_stride(shape: torch.Size) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))
