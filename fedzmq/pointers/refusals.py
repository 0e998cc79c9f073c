"""What a pointer cannot do, each with an error that says why: it has no value here, and no code travels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch

from fedzmq.errors import OperationRefused, PointerError
from fedzmq.pointers.remote import Handler, Remote

T = torch.Tensor

_WITH_VALUE = """
    item tolist __bool__ __int__ __float__ __index__ __complex__ numpy __array__ __contains__ data_ptr untyped_storage
    storage storage_type _typed_storage __dlpack__ __dlpack_device__ share_memory_ pin_memory equal allclose
    __cuda_array_interface__ is_nonzero __long__ __nonzero__ is_set_to const_data_ptr _base
"""
_REASONS = {
    "its result would reach memory beyond the tensor's own elements; use views, slices or .reshape()": """
        as_strided as_strided_ as_strided_copy as_strided_scatter slice_inverse index_put_impl_
    """,
    "it would resize memory that others may share; make a new tensor": """
        resize resize_ resize_as resize_as_ resize_as_sparse_ sparse_resize_ sparse_resize_and_clear_
    """,
    "memory that was not written may hold another's values; use zeros": """
        empty_strided empty_permuted empty_quantized new_empty_strided new
    """,
    "tensors on workers are dense": """
        to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc to_dense to_mkldnn coalesce
        indices values crow_indices col_indices ccol_indices row_indices sparse_dim dense_dim sparse_mask is_coalesced
        smm hspmm sspaddmm to_padded_tensor crow_indices_copy col_indices_copy indices_copy
        values_copy row_indices_copy ccol_indices_copy
    """,
    "tensors on workers are not quantised": """
        dequantize int_repr q_scale q_zero_point q_per_channel_scales q_per_channel_zero_points q_per_channel_axis
        qscheme quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic fake_quantize_per_tensor_affine
        fake_quantize_per_channel_affine fused_moving_avg_obs_fake_quant
    """,
    "it trusts sizes that its caller gives beside the tensors; use the function in torch.nn.functional": """
        native_batch_norm native_group_norm batch_norm_stats batch_norm_elemt batch_norm_gather_stats
        batch_norm_gather_stats_with_counts batch_norm_update_stats convolution
    """,
    "it trusts lengths that its caller gives; use scatter_reduce or index_reduce": "segment_reduce",
    "it iterates on values, and calls a function of yours; use torch.linalg.eigh": "lobpcg",
}
_LOCAL_CODE = ("register_hook", "register_post_accumulate_grad_hook", "apply_", "map_", "map2_")


def name_of(func: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    known = torch.overrides.resolve_name(func)
    return known or getattr(func, "__qualname__", None) or repr(func)


def why(func: Callable[..., Any]) -> tuple[str, ...]:
    """The reason that a function is not on the list of operations, where there is one to tell."""
    if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return ("torch.ops are the kernels beneath torch's functions; call those",)
    last = getattr(func, "__name__", "")
    if last.startswith("_") and not last.startswith("__"):
        return ("it is private to torch",)
    for reason, names in _REASONS.items():
        if last in names.split():
            return (reason,)
    return ()


def refuse_pickle(p: Remote, *args: Any) -> NoReturn:
    raise PointerError(f"{p!r} cannot be pickled or saved: its values are on the worker; .get() it first")


def _needs_value(name: str) -> Handler:
    spoken = name.strip("_") + "()" if name.startswith("__") else name

    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        pointer = next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Remote))
        raise pointer._ref.stream.needs_value(spoken)

    return handler


def _local_code(name: str) -> Handler:
    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        raise OperationRefused(name, "it takes a function of yours, and no code travels to a worker")

    return handler


def _table() -> dict[Any, Handler]:
    table: dict[Any, Handler] = {T.__reduce_ex__: refuse_pickle}
    for name in _WITH_VALUE.split():
        attribute = getattr(T, name, None)
        if attribute is not None:
            table[attribute if callable(attribute) else attribute.__get__] = _needs_value(name)
    for name in ("equal", "allclose", "is_nonzero"):
        table[getattr(torch, name)] = _needs_value(name)
    for name in _LOCAL_CODE:
        if hasattr(T, name):
            table[getattr(T, name)] = _local_code(name)
    return table


REFUSALS = _table()
