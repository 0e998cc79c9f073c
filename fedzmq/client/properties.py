"""What a pointer answers by itself: everything that metadata tells, and a clear error for all that needs a value.

Each handler takes the arguments of the torch function it stands for. Properties arrive here too, as the getters and
setters of torch.Tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch

from fedzmq.client.graph import Leaf
from fedzmq.client.meeting import apart
from fedzmq.client.metadata import CONSTANT
from fedzmq.client.origins import origin
from fedzmq.client.remote import META, ORDINARY, Remote
from fedzmq.errors import OperationRefused, PointerError
from fedzmq.wire.messages import SetData

Handler = Callable[..., Any]
T = torch.Tensor

_NEVER = """
    is_shared is_pinned has_names is_sparse is_sparse_csr is_quantized is_mkldnn is_meta is_mps is_xla is_nested
    is_vulkan is_ipu is_xpu is_mtia is_maia
"""
_WITH_VALUE = """
    item tolist __bool__ __int__ __float__ __index__ __complex__ numpy __array__ __contains__ data_ptr untyped_storage
    storage storage_type _typed_storage __dlpack__ __dlpack_device__ share_memory_ pin_memory equal allclose
    __cuda_array_interface__ is_nonzero
"""
_LOCAL_CODE = ("register_hook", "register_post_accumulate_grad_hook", "apply_", "map_", "map2_")


def shape(p: Remote) -> torch.Size:
    return p._ref.meta.shape


def size(p: Remote, dim: int | None = None) -> Any:
    return p._ref.meta.shape if dim is None else p._ref.meta.shape[_dimension(p, dim)]


def stride(p: Remote, dim: int | None = None) -> Any:
    return p._ref.meta.stride if dim is None else p._ref.meta.stride[_dimension(p, dim)]


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


def is_signed(p: Remote) -> bool:
    return p._ref.meta.dtype.is_signed


def is_cpu(p: Remote) -> bool:
    return p._ref.stream.device.type == "cpu"


def is_cuda(p: Remote) -> bool:
    return p._ref.stream.device.type == "cuda"


def get_device(p: Remote) -> int:
    index = p._ref.stream.device.index
    return -1 if index is None else index


def no(*args: Any, **kwargs: Any) -> bool:
    return False


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
    return f"{kind}({extents} {dtype_name} on {reference.stream.worker}, #{reference.id}{grad})"


def formatted(p: Remote, spec: str) -> str:
    return format(shown(p), spec)


def equal_to(p: Any, other: Any) -> Any:
    return False if p is None or other is None else ORDINARY


def unequal_to(p: Any, other: Any) -> Any:
    return True if p is None or other is None else ORDINARY


def data(p: Remote) -> torch.Tensor:
    return p.detach()


def set_data(p: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """`p.data = source` and `p.set_(source)`: p names the tensor of source from now on, and stays itself otherwise."""
    if not isinstance(p, Remote) or not isinstance(source, Remote) or p._ref.stream is not source._ref.stream:
        raise apart("assigning one tensor's data to another", [p, source])
    reference = p._ref
    reference.meta = source._ref.meta.of_kind(reference.meta.kind)
    if reference.leaf is not None:
        reference.leaf.meta = reference.meta.of_kind(CONSTANT)
    reference.storage = None
    reference.stream.command(SetData(reference.id, source._ref.id), origin())
    reference.stream.noticed([reference], [])
    return p


def set_source(p: torch.Tensor, source: Any = None, *rest: Any, **kwargs: Any) -> torch.Tensor:
    if rest or kwargs or not isinstance(source, torch.Tensor):
        raise OperationRefused("torch.Tensor.set_", "only another tensor can be the source")
    if torch.is_grad_enabled() and p.requires_grad:
        raise RuntimeError("set_ on a tensor that requires grad: put it under torch.no_grad()")
    return set_data(p, source)


def here(p: Remote, *args: Any, **kwargs: Any) -> Remote:
    """`cpu()`: a pointer stays where it is; `get` is what brings a tensor here."""
    return p


def to(p: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """`to` changes the dtype or the memory format. Devices are those of the worker, and are left to it."""
    if not isinstance(p, Remote):
        return p.to(args[0].dtype) if args and isinstance(args[0], Remote) else ORDINARY
    if len(args) == 1 and isinstance(args[0], torch.dtype) and not kwargs and args[0] is not p._ref.meta.dtype:
        return ORDINARY
    other = kwargs.pop("other", None)
    copy = kwargs.pop("copy", [arg for arg in args if type(arg) is bool][1:] == [True])
    args = tuple(arg.dtype if isinstance(arg, torch.Tensor) else arg for arg in args)
    _, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    dtype = dtype or (p if other is None else other).dtype
    if dtype is not p._ref.meta.dtype:
        p = p.to(dtype)
    elif copy:
        p = p.clone()
    return p if memory_format is None else p.contiguous(memory_format=memory_format)


def new_tensor(p: Remote, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Made here and sent: the data is the caller's."""
    made = torch.tensor(data, dtype=dtype or p._ref.meta.dtype, requires_grad=requires_grad)
    return type(p).around(p._ref.stream.put(made, 1 if requires_grad else 0))


def deep_copy(p: Remote, memo: dict[int, Any]) -> Any:
    if id(p) in memo:
        return memo[id(p)]
    if p._ref.node is not None and not isinstance(p._ref.node, Leaf):
        raise RuntimeError("only tensors created explicitly by the user support deepcopy; use .detach() or .clone()")
    with torch.no_grad():
        made = p.detach().clone()
    if not isinstance(made, Remote):
        raise PointerError(f"{shown(p)} could not be copied on its worker")
    if p._ref.meta.kind:
        made.requires_grad_()
    for name, value in p.__dict__.items():
        if name != "_ref":
            made.__dict__[name] = value
    made._ref.kept = p._ref.kept
    memo[id(p)] = made
    return made


def refuse_pickle(p: Remote, *args: Any) -> NoReturn:
    raise PointerError(f"{shown(p)} cannot be pickled or saved: its values are on the worker; .get() it first")


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
        _getter("is_cpu"): is_cpu,
        _getter("is_cuda"): is_cuda,
        _getter("name"): nothing,
        _getter("_version"): zero,
        _getter("_backward_hooks"): nothing,
        _getter("_post_accumulate_grad_hooks"): nothing,
        _getter("data"): data,
        T.data.__set__: lambda p, source: (set_data(p, source), None)[1],  # type: ignore[attr-defined]  # a property
        T.size: size,
        T.stride: stride,
        T.storage_offset: zero,
        T.get_device: get_device,
        T.is_contiguous: is_contiguous,
        T.set_: set_source,
        T.cpu: here,
        T.to: to,
        T.new_tensor: new_tensor,
        T.__len__: length,
        T.__iter__: iterate,
        T.__repr__: shown,
        T.__format__: formatted,
        T.__eq__: equal_to,
        T.__ne__: unequal_to,
        T.__deepcopy__: deep_copy,
        T.__reduce_ex__: refuse_pickle,
        torch.result_type: result_type,
        torch._has_compatible_shallow_copy_type: same_kind,
    }
    table |= {T.dim: ndim, T.ndimension: ndim, T.element_size: itemsize}
    table |= {T.numel: numel, T.nelement: numel, torch.numel: numel}
    both = {"is_floating_point": is_floating_point, "is_complex": is_complex, "is_signed": is_signed}
    for name, handler in {**both, "is_conj": no, "is_neg": no, "is_inference": no}.items():
        for home in (T, torch):
            table[getattr(home, name)] = handler
    for name in _NEVER.split():
        attribute = getattr(T, name, None)
        if attribute is not None:
            table[attribute if callable(attribute) else attribute.__get__] = no
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


PROPERTIES = _table()
