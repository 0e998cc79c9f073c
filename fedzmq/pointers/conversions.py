"""Pointers made of pointers by other than an operation: another dtype, another name for the same data, a copy."""

from __future__ import annotations

import copy
from typing import Any

import torch

from fedzmq.errors import PointerError
from fedzmq.pointers.graph import Leaf
from fedzmq.pointers.meeting import apart
from fedzmq.pointers.origins import origin
from fedzmq.pointers.putting import put
from fedzmq.pointers.remote import ORDINARY, Handler, Remote
from fedzmq.wire.messages import SetData

T = torch.Tensor


def data(p: Remote) -> torch.Tensor:
    """The same memory, and writes that the history of `p` knows nothing of, where a backward can bear that.

    Kernels of backward trust ints, and a plan tells whose state it writes to by the count.
    """
    if not (p.is_floating_point() or p.is_complex()) or p._ref.stream.is_recording:
        return p.detach()
    return set_data(p.new_zeros(0), p)


def set_data(p: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """`p.data = source` and `p.set_(source)`: p names the tensor of source from now on, and stays itself otherwise."""
    if not isinstance(p, Remote) or not isinstance(source, Remote) or p._ref.stream is not source._ref.stream:
        raise apart("assigning one tensor's data to another", [p, source])
    reference = p._ref
    reference.meta = source._ref.meta.of_kind(reference.meta.kind)
    if reference.leaf is not None:
        reference.leaf.meta = reference.meta.of_gradient()
    reference.storage = None
    reference.stream.command(SetData(reference.id, source._ref.id), origin())
    reference.stream.noticed([reference.id], [])
    return p


def here(p: Remote, *args: Any, **kwargs: Any) -> Remote:
    """`cpu()`, `cuda()` and the like: a pointer stays where it is; `get` is what brings a tensor here."""
    return p


def to(p: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """`to` changes the dtype or the memory format. Devices are those of the worker, and are left to it."""
    if not isinstance(p, Remote):
        return p.to(args[0].dtype) if args and isinstance(args[0], Remote) else ORDINARY
    if len(args) == 1 and isinstance(args[0], torch.dtype) and not kwargs and args[0] is not p._ref.meta.dtype:
        return ORDINARY
    copy = kwargs.pop("copy", [arg for arg in args if type(arg) is bool][1:] == [True])
    args = tuple(arg.dtype if isinstance(arg, torch.Tensor) else arg for arg in args if type(arg) is not bool)
    _, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    if dtype is not None and dtype is not p._ref.meta.dtype:
        p = p.to(dtype)
    elif copy:
        p = p.clone()
    stays = memory_format is None or memory_format is torch.preserve_format
    return p if stays else p.contiguous(memory_format=memory_format)


def parse_to(*args: Any, **kwargs: Any) -> Any:
    """What `module.to(p)` asks for: the pointer's dtype. Where it lives is no device of this process."""
    dtypes: Any = [each.dtype if isinstance(each, Remote) else each for each in args]
    return torch._C._nn._parse_to(*dtypes, **kwargs)


def type_of(p: Remote, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
    if dtype is None:
        return torch.empty(0, dtype=p._ref.meta.dtype).type()
    return p.to(torch.empty(0).type(dtype).dtype)


def new_tensor(p: Remote, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Made here and sent: the data is the caller's."""
    made = torch.tensor(data, dtype=dtype or p._ref.meta.dtype, requires_grad=requires_grad)
    return type(p).around(put(p._ref.stream, made, 1 if requires_grad else 0))


def new(p: Remote, *args: Any, device: Any = None) -> Any:
    """As distributions of torch's make what they draw into: of a size, with zeros for memory that nobody wrote."""
    if all(isinstance(each, (int, torch.Size)) for each in args):
        return p.new_zeros(*args or (0,))
    return ORDINARY if isinstance(args[0], torch.Tensor) else p.new_tensor(*args)


def load(p: Remote, other: torch.Tensor, assign: bool = False) -> torch.Tensor:
    """What takes the place of a parameter where a module swaps them."""
    return other.detach() if assign else p.copy_(other).detach()


def deep_copy(p: Remote, memo: dict[int, Any]) -> Any:
    if id(p) in memo:
        return memo[id(p)]
    if p._ref.node is not None and not isinstance(p._ref.node, Leaf):
        raise RuntimeError("only tensors created explicitly by the user support deepcopy; use .detach() or .clone()")
    with torch.no_grad():
        made = p.detach().clone()
    if not isinstance(made, Remote):
        raise PointerError(f"{p!r} could not be copied on its worker")
    if p._ref.meta.kind:
        made.requires_grad_()
    if p.grad is not None and not getattr(p, "_is_param", False):  # as torch has it, a parameter's copy has none
        made.grad = deep_copy(p.grad, memo)  # type: ignore[arg-type]  # a pointer's is one
    for name, value in p.__dict__.items():
        if name != "_ref":
            made.__dict__[name] = copy.deepcopy(value, memo)
    made._ref.kept = p._ref.kept
    memo[id(p)] = made
    return made


def _assign_data(p: torch.Tensor, source: torch.Tensor) -> None:
    set_data(p, source)


_DATA: Any = T.data  # torch declares its properties as values

CONVERSIONS: dict[Any, Handler] = {
    _DATA.__get__: data,
    _DATA.__set__: _assign_data,
    **{getattr(T, name): here for name in ("cpu", "cuda", "ipu", "mtia", "xpu") if hasattr(T, name)},
    T.to: to,
    torch._C._nn._parse_to: parse_to,
    T.type: type_of,
    T.new: new,
    T.new_tensor: new_tensor,
    T.module_load: load,
    T.__deepcopy__: deep_copy,
}
