"""What a pointer cannot do, each with an error that says why: it has no value here, and no code travels.

One thing is done after all: where Python of torch's own decides by a number, the number is fetched, which is a round
trip. A program's own `if` and `item()` are errors, because there `.get()` can be written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any, NoReturn

import torch

import fedzmq
from fedzmq.errors import OperationRefused, PointerError
from fedzmq.pointers.remote import SCRIPT, Handler, Remote

T = torch.Tensor

# Torch's own code decides by values in LBFGS, Adafactor, BatchNorm without a momentum, trunc_normal_, masked.median,
# torch.testing.assert_close, and where it checks the parameters of a distribution.
OWN = os.path.dirname(fedzmq.__file__ or "") + os.sep
DECIDING = os.path.dirname(torch.__file__) + os.sep

_CONVERSIONS = """
    item tolist __bool__ __int__ __float__ __index__ __complex__ __nonzero__ __long__ is_nonzero equal allclose
"""
_WITH_VALUE = """
    numpy __array__ __array_wrap__ __contains__ data_ptr untyped_storage
    storage storage_type _typed_storage __dlpack__ __dlpack_device__ share_memory_ pin_memory
    __cuda_array_interface__ is_set_to const_data_ptr _base
"""
_REASONS = {
    "its result would reach memory beyond the tensor's own elements; use views, slices or .reshape()": """
        as_strided as_strided_ as_strided_copy as_strided_scatter slice_inverse index_put_impl_
    """,
    "it would resize memory that others may share; make a new tensor": """
        resize resize_ resize_as resize_as_ resize_as_sparse_ sparse_resize_ sparse_resize_and_clear_ set_
    """,
    "memory that was not written may hold another's values; use zeros": """
        empty_strided empty_permuted empty_quantized new_empty_strided new
    """,
    "tensors on workers are dense; what is sparse here is sent with .to_dense()": """
        to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc to_dense to_mkldnn coalesce
        indices values crow_indices col_indices ccol_indices row_indices sparse_dim dense_dim sparse_mask is_coalesced
        smm hspmm sspaddmm to_padded_tensor crow_indices_copy col_indices_copy indices_copy
        values_copy row_indices_copy ccol_indices_copy hsmm saddmm native_norm sparse_* _sparse_* _spdiags _nested_*
        _coalesced_ _dimI _dimV _indices _values _nnz _to_dense
    """,
    "tensors on workers are not quantised; what is so here is sent with .dequantize()": """
        dequantize int_repr q_scale q_zero_point q_per_channel_scales q_per_channel_zero_points q_per_channel_axis
        qscheme quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic fake_quantize_per_tensor_affine
        fake_quantize_per_channel_affine fused_moving_avg_obs_fake_quant choose_qparams_optimized quantized_* fbgemm_*
    """,
    "it is the kernel of one library; torch's own function of that purpose is the way to it": """
        cudnn_* miopen_* mkldnn_*
    """,
    "it takes dimensions of functorch; subscripts do without": "index",
    "the worker's memory and streams are its own affair": "record_stream _cdata",
    "it trusts sizes that its caller gives beside the tensors; use the function in torch.nn.functional": """
        batch_norm_stats batch_norm_elemt batch_norm_gather_stats
        batch_norm_gather_stats_with_counts batch_norm_update_stats batch_norm_backward_* convolution embedding_bag
    """,
    "it is a step of torch.nn.functional.embedding, which takes max_norm": "embedding_renorm_",
    "its backward trusts lengths; use scatter_reduce or index_reduce": "segment_reduce",
    "gradients are scaled for float16; autocast to bfloat16, or GradScaler(enabled=False), goes without": """
        _amp_foreach_non_finite_check_and_unscale_ _amp_update_scale_
    """,
    "forward derivatives happen inside torch's kernels; use torch.autograd.functional.jvp": "_make_dual _unpack_dual",
    "it iterates on values, and calls a function of yours; use torch.linalg.eigh": "lobpcg",
}
_LOCAL_CODE = ("apply_", "map_", "map2_")


def name_of(func: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    known: str = torch.overrides.resolve_name(func) or getattr(func, "__qualname__", None) or repr(func)
    return known.removesuffix(".__get__").replace("_VariableFunctionsClass", "torch")


def why(func: Callable[..., Any]) -> tuple[str, ...]:
    """The reason that a function is not on the list of operations, where there is one to tell."""
    if isinstance(func, torch._C.ScriptMethod):
        return (SCRIPT,)
    if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return ("torch.ops are the kernels beneath torch's functions; call those",)
    last = name_of(func).rpartition(".")[2]
    for reason, patterns in _REASONS.items():
        if any(fnmatchcase(last, pattern) for pattern in patterns.split()):
            return (reason,)
    if last.startswith("_") and not last.startswith("__"):
        return ("it is private to torch; call the public function",)
    return ()


def refuse_pickle(p: Remote, *args: Any) -> NoReturn:
    raise PointerError(f"{p!r} cannot be pickled or saved: its values are on the worker; .get() it first")


def _needs_value(name: str) -> Handler:
    spoken = name.strip("_") + "()" if name.startswith("__") else name

    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        pointer = next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Remote))
        raise pointer._ref.stream.needs_value(spoken)

    return handler


def _conversion(function: Callable[..., Any], name: str) -> Handler:
    refuse = _needs_value(name)

    def handler(*args: Any, **kwargs: Any) -> Any:
        if not _asked_by_torch():
            refuse(*args, **kwargs)
        return function(*map(_value, args), **{key: _value(each) for key, each in kwargs.items()})

    return handler


def _value(argument: Any) -> Any:
    return argument._ref.stream.fetch([argument._ref.id])[0] if isinstance(argument, Remote) else argument


def _asked_by_torch() -> bool:
    """Torch's own code decides by the value, and nobody else can fetch it for that."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(DECIDING)


def _local_code(name: str) -> Handler:
    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        raise OperationRefused(name, "it takes a function of yours, and no code travels to a worker")

    return handler


def _table() -> dict[Any, Handler]:
    table: dict[Any, Handler] = {T.__reduce_ex__: refuse_pickle, T.__setstate__: refuse_pickle}
    for name in _WITH_VALUE.split():
        attribute = getattr(T, name, None)
        if attribute is not None:
            table[attribute if callable(attribute) else attribute.__get__] = _needs_value(name)
    for name in _CONVERSIONS.split():
        if hasattr(T, name):
            table[getattr(T, name)] = _conversion(getattr(T, name), name)
    table[torch._is_all_true] = torch.all
    table[torch._is_any_true] = torch.any
    for name in ("is_nonzero", "equal", "allclose"):
        table[getattr(torch, name)] = _conversion(getattr(torch, name), name)
    for name in _LOCAL_CODE:
        if hasattr(T, name):
            table[getattr(T, name)] = _local_code(name)
    return table


REFUSALS = _table()
