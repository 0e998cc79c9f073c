"""A tensor to bytes and back: its values row-major and without gaps, in the byte order of the machine.

Bytes are shared where that is safe and copied where it is not: memory that others may still write, or that must not be
written, never becomes a tensor's.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch

from fedzmq.errors import ProtocolError, UsageError
from fedzmq.tensors.dtypes import dtype_of, name_of
from fedzmq.transports.connection import Buffer
from fedzmq.wire.limits import MAX_RANK, check_tensor
from fedzmq.wire.messages import TensorSpec

SHARE_FROM = 64 * 1024
"""Bytes. A smaller buffer may be a slice of a large receive buffer, which a tensor on it would keep alive."""


# Those that numpy has too, whose copy of a small tensor takes a fifth of the time.
_OF_NUMPY = frozenset(map(dtype_of, ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")))
HUGE_FROM = 4 * 1024 * 1024  # bytes
_HUGE = hasattr(mmap, "MADV_HUGEPAGE")


def export(tensor: torch.Tensor, *, copy: bool = False) -> tuple[str, tuple[int, ...], Buffer]:
    """The dtype's name, the shape and the bytes: a read-only view of the tensor's own memory where it is contiguous.

    The view keeps the memory alive. With `copy` later writes to the tensor do not reach it. Raises UsageError for a
    tensor whose values are not one plain array: sparse, quantised, nested, or without values (meta); and for one of
    more dimensions than any kernel takes.
    """
    name = name_of(tensor.dtype)
    if copy and tensor.dtype in _OF_NUMPY and not tensor.requires_grad:
        try:
            values = tensor.numpy()
        except (TypeError, RuntimeError, ValueError):  # it is no plain array of values in the memory of the CPU
            pass
        else:
            if values.nbytes < SHARE_FROM:
                return name, values.shape, values.tobytes()
    check_dense(tensor)
    shape = tuple(tensor.shape)
    if tensor.numel() == 0:
        return name, shape, memoryview(b"")
    plain = tensor.detach() if tensor.requires_grad else tensor
    if not plain.is_cpu or plain.is_conj() or plain.is_neg():
        plain = plain.cpu().resolve_conj().resolve_neg()
    if plain._is_zerotensor():
        plain = plain.clone()  # zeros that no memory holds, as the gradient of sgn is made of
    if not plain.is_contiguous():
        plain = plain.contiguous()
    # As bytes, because numpy lacks some of the dtypes, and as one row of them: a tensor of 0 dimensions has no bytes to
    # view, and in a dimension of 1 a contiguous tensor may have any stride.
    raw = plain.as_strided((plain.numel(),), (1,)).view(torch.uint8)
    if copy and raw.data_ptr() == tensor.data_ptr():
        raw = raw.clone()
    return name, shape, raw.numpy().data.toreadonly()


def check_dense(tensor: torch.Tensor) -> None:
    """Raises UsageError for a tensor whose values are not one plain array, or of too many dimensions."""
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_meta or tensor.is_quantized:
        known = {"nested": tensor.is_nested, "meta": tensor.is_meta, "quantised": tensor.is_quantized}
        kind = next((name for name, is_it in known.items() if is_it), str(tensor.layout).removeprefix("torch."))
        raise UsageError(f"a {kind} tensor has no plain array of values and cannot travel; make a dense one of it")
    if tensor.dim() > MAX_RANK:
        raise UsageError(f"a tensor of {tensor.dim()} dimensions cannot travel (at most {MAX_RANK}); reshape it first")


class Exported(NamedTuple):
    """Tensors of one message: their specs, and the buffers in that order."""

    specs: tuple[TensorSpec, ...]
    buffers: list[Buffer]


def export_all(tensors: Iterable[torch.Tensor], *, copy: bool = False, first: int = 0) -> Exported:
    """As `export`, of all of them. first: how many buffers come before theirs in the message."""
    specs: list[TensorSpec] = []
    buffers: list[Buffer] = []
    for tensor in tensors:
        dtype, shape, view = export(tensor, copy=copy)
        specs.append(TensorSpec(dtype, shape, first + len(buffers)))
        buffers.append(view)
    return Exported(tuple(specs), buffers)


def allocate(size: int) -> memoryview:
    """Memory of so many bytes, of any content, for a buffer that `restore` will make a tensor of. Raises MemoryError.

    It lies where kernels like it best, and nothing was written to it yet.
    """
    if size >= HUGE_FROM and _HUGE:
        return _huge(size)
    try:
        return torch.empty(size, dtype=torch.uint8).numpy().data
    except RuntimeError as error:
        raise MemoryError(str(error)) from None


def _huge(size: int) -> memoryview:
    """In pages of 2 MiB where the system has them: to get as much in ordinary ones takes longer than to fill them."""
    try:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(str(error)) from None
    with suppress(OSError):  # of a kernel that was built without them
        block.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(block)


def restore(spec: TensorSpec, buffer: Buffer) -> torch.Tensor:
    """The tensor, on the CPU. It takes the buffer over where that is large, writable and aligned, and copies it if not.

    Raises ProtocolError where the buffer's length is not what dtype and shape say.
    """
    check_tensor(spec.dtype, spec.shape, memoryview(buffer).nbytes)
    return restore_checked(spec, buffer)


def restore_checked(spec: TensorSpec, buffer: Buffer) -> torch.Tensor:
    """As `restore`, for a spec that was checked against this buffer, as the codec does with those of messages."""
    dtype = dtype_of(spec.dtype)
    view = memoryview(buffer)
    if view.nbytes == 0:
        return torch.empty(0, dtype=torch.uint8).view(dtype).reshape(spec.shape)
    if dtype is torch.bool:
        # Kernels count on 0 and 1, and nothing else may come in.
        return torch.frombuffer(bytearray(view), dtype=torch.uint8).ne(0).reshape(spec.shape)
    if not view.readonly and view.nbytes >= SHARE_FROM:
        shared = torch.frombuffer(view, dtype=torch.uint8)
        if shared.data_ptr() % _alignment(dtype) == 0:
            return shared.view(dtype).reshape(spec.shape)
    values = torch.frombuffer(bytearray(view), dtype=dtype)
    return values if len(spec.shape) == 1 else values.reshape(spec.shape)


def restore_all(specs: Sequence[TensorSpec], buffers: Sequence[Buffer]) -> list[torch.Tensor]:
    """Raises ProtocolError where a spec names a buffer that is not there."""
    for spec in specs:
        if spec.buffer >= len(buffers):
            raise ProtocolError(f"a tensor is in buffer {spec.buffer}, and there are {len(buffers)} buffers")
    return [restore(spec, buffers[spec.buffer]) for spec in specs]


def _alignment(dtype: torch.dtype) -> int:
    return dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
