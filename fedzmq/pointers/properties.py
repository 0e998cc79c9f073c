"""What a pointer answers by itself: everything that metadata tells, and nothing that needs a value.

Each handler takes the arguments of the torch function it stands for. Properties arrive here too, as the getters and
setters of torch.Tensor.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from fedzmq.errors import OperationRefused
from fedzmq.pointers.metadata import CONSTANT
from fedzmq.pointers.remote import META, ORDINARY, Handler, Remote

T = torch.Tensor

_NEVER = """
    is_shared is_pinned has_names is_sparse is_sparse_csr is_quantized is_mkldnn is_meta is_mps is_xla is_nested
    is_vulkan is_ipu is_xpu is_mtia is_maia volatile
"""


def shape(p: Remote) -> torch.Size:
    return p._ref.meta.shape


def size(p: Remote, dim: int | None = None) -> Any:
    return p._ref.meta.shape if dim is None else p._ref.meta.shape[_dimension(p, dim)]


def stride(p: Remote, dim: int | None = None) -> Any:
    return p._ref.meta.stride if dim is None else p._ref.meta.stride[_dimension(p, dim)]


def storage_offset(p: Remote) -> int:
    storage = p._ref.storage
    if storage is not None and storage.root != p._ref.id:
        raise OperationRefused(
            "torch.Tensor.storage_offset", "where in its memory a view begins is the worker's affair"
        )
    return 0


def ndim(p: Remote) -> int:
    return len(p._ref.meta.shape)


def dtype(p: Remote) -> torch.dtype:
    return p._ref.meta.dtype


def device(p: Remote) -> torch.device:
    return p._ref.stream.device


def numel(p: Remote) -> int:
    return p._ref.meta.shape.numel()


def itemsize(p: Remote) -> int:
    return p._ref.meta.dtype.itemsize


def nbytes(p: Remote) -> int:
    return numel(p) * itemsize(p)


def is_contiguous(p: Remote, memory_format: torch.memory_format = torch.contiguous_format) -> bool:
    return p._ref.meta.is_contiguous(memory_format)


def is_floating_point(p: Remote) -> bool:
    return p._ref.meta.dtype.is_floating_point


def is_complex(p: Remote) -> bool:
    return p._ref.meta.dtype.is_complex


def is_conj(p: Remote) -> bool:
    return p._ref.meta.is_conj


def is_neg(p: Remote) -> bool:
    return p._ref.meta.is_neg


def is_signed(p: Remote) -> bool:
    return p._ref.meta.dtype.is_signed


def is_cpu(p: Remote) -> bool:
    return p._ref.stream.device.type == "cpu"


def is_cuda(p: Remote) -> bool:
    return p._ref.stream.device.type == "cuda"


def get_device(p: Remote) -> int:
    index = p._ref.stream.device.index
    return -1 if index is None else index


def dim_order(p: Remote, **kwargs: Any) -> tuple[int, ...]:
    order: tuple[int, ...] = p._ref.meta.of_kind(CONSTANT).blank(META).dim_order(**kwargs)
    return order


def grad_dtype(p: Remote) -> torch.dtype | None:
    dtype: torch.dtype | None = p._ref.meta.blank(META).grad_dtype
    return dtype


def is_same_size(p: torch.Tensor, other: torch.Tensor) -> bool:
    return p.shape == other.shape


def no(*args: Any, **kwargs: Any) -> bool:
    return False


def version(p: Remote) -> int:
    return p._ref.stream.version(p._ref.id)


def zero(p: Remote) -> int:
    return 0


def nothing(p: Remote) -> None:
    return None


def length(p: Remote) -> int:
    shape = p._ref.meta.shape
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


def iterate(p: Remote) -> Iterator[torch.Tensor]:
    if not p._ref.meta.shape:
        raise TypeError("iteration over a 0-d tensor")
    return iter(p.unbind(0))


def shown(p: Remote, *, tensor_contents: Any = None) -> str:
    """`Pointer(3x4 float32 on bob)`: what it is and where, without asking."""
    reference = p._ref
    meta = reference.meta
    extents = "x".join(map(str, meta.shape)) or "scalar"
    kind = "Parameter pointer" if getattr(p, "_is_param", False) else "Pointer"
    grad = ", requires_grad" if meta.kind else ""
    dtype_name = str(meta.dtype).removeprefix("torch.")
    tags = "".join([f", {tag!r}" for tag in p.__dict__.get("_tags", ())])
    return f"{kind}({extents} {dtype_name} on {reference.stream.worker}, #{reference.id}{grad}{tags})"


def formatted(p: Remote, spec: str) -> str:
    if spec and spec[-1] in "bcdeEfFgGnoxX%":  # it is a number that is to be shown
        raise p._ref.stream.needs_value(f"the format {spec!r}")
    return format(shown(p), spec)


def equal_to(p: Any, other: Any) -> Any:
    return ORDINARY if _is_comparable(p) and _is_comparable(other) else False


def unequal_to(p: Any, other: Any) -> Any:
    return ORDINARY if _is_comparable(p) and _is_comparable(other) else True


def _is_comparable(value: Any) -> bool:
    """Elements are compared with numbers and tensors; torch says of anything else that it is not the same."""
    return isinstance(value, (torch.Tensor, numbers.Number, np.generic, np.ndarray, str, list, tuple))


def members(p: Remote) -> list[str]:
    return sorted({*dir(type(p)), *p.__dict__})


def result_type(*operands: Any) -> torch.dtype:
    return torch.result_type(*[each._ref.meta.blank(META) if isinstance(each, Remote) else each for each in operands])


def same_kind(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether `a.data = b` will do, as Module.to asks: then a parameter keeps its identity."""
    return isinstance(a, Remote) and isinstance(b, Remote)


def _dimension(p: Remote, dim: int) -> int:
    rank = len(p._ref.meta.shape)
    if not -rank <= dim < rank:
        bound = max(rank, 1)
        raise IndexError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})")
    return dim


def _getter(name: str) -> Any:
    return getattr(T, name).__get__


def _table() -> dict[Any, Handler]:
    table: dict[Any, Handler] = {
        _getter("shape"): shape,
        _getter("ndim"): ndim,
        _getter("dtype"): dtype,
        _getter("device"): device,
        _getter("layout"): lambda p: torch.strided,
        _getter("itemsize"): itemsize,
        _getter("nbytes"): nbytes,
        _getter("grad_dtype"): grad_dtype,
        _getter("is_cpu"): is_cpu,
        _getter("is_cuda"): is_cuda,
        _getter("name"): nothing,
        _getter("_version"): version,
        _getter("output_nr"): zero,
        T.size: size,
        T.stride: stride,
        T.storage_offset: storage_offset,
        T.get_device: get_device,
        T.is_contiguous: is_contiguous,
        T.dim_order: dim_order,
        T.is_same_size: is_same_size,
        torch.is_same_size: is_same_size,
        torch.get_device: get_device,
        T.__dir__: members,
        T.__len__: length,
        T.__iter__: iterate,
        T.__repr__: shown,
        T.__format__: formatted,
        T.__eq__: equal_to,
        T.__ne__: unequal_to,
        torch.result_type: result_type,
        torch._has_compatible_shallow_copy_type: same_kind,
        # Whether an encoder may cut padding away: without that it takes the ordinary way.
        torch._nested_tensor_from_mask_left_aligned: no,
    }
    table |= {T.dim: ndim, T.ndimension: ndim, T.element_size: itemsize}
    table |= {T.numel: numel, T.nelement: numel, torch.numel: numel}
    both = {
        "is_floating_point": is_floating_point,
        "is_complex": is_complex,
        "is_signed": is_signed,
        "is_conj": is_conj,
        "is_neg": is_neg,
        "is_inference": no,
        "is_distributed": no,
    }
    for name, handler in both.items():
        for home in (T, torch):
            table[getattr(home, name)] = handler
    for name in _NEVER.split():
        attribute = getattr(T, name, None)
        if attribute is not None:
            table[attribute if callable(attribute) else attribute.__get__] = no
    return table


PROPERTIES = _table()
