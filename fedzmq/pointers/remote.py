"""A tensor that has no value here, only a reference: as much of a pointer as the rest of the client needs to know."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

import torch

from fedzmq.errors import OperationRefused
from fedzmq.pointers.graph import Leaf
from fedzmq.pointers.metadata import CONSTANT, Meta, meta
from fedzmq.pointers.reference import Reference

META: Final = torch.device("meta")
_TRANSFORMS: Final = os.path.join(os.path.dirname(torch.__file__), "_functorch", "")
SCRIPT: Final = "TorchScript is code, and no code travels; call the module or function that it is made of"
ORDINARY: Final = object()  # what a handler of special functions returns for "an operation like any other after all"

Handler = Callable[..., Any]  # takes the arguments of the torch function that it stands for
Self = TypeVar("Self", bound="Remote")


def is_traced() -> bool:
    """Whether torch.jit.trace is at work: sizes are tensors then."""
    return torch._C._get_tracing_state() is not None


class Composite(torch.Tensor):
    """Made of pointers: it takes operations on itself and on pointers apart, wherever it stands among the operands."""

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it without the function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> NoReturn:
        raise OperationRefused(str(func), "it reached torch's own kernels with a pointer, which has no value here")

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


class Remote(torch.Tensor):
    """In C++ a tensor of device meta: what goes past every hook (DLPack does) finds no memory to misread.

    Shape and dtype in C++ are those at birth. What is true now is in `_ref`, and all of Python is answered from there.
    """

    _ref: Reference
    _is_param: bool

    @classmethod
    def around(cls: type[Self], reference: Reference) -> Self:
        meta = reference.meta
        made: Self = torch.Tensor._make_wrapper_subclass(
            cls, meta.shape, strides=meta.stride, dtype=meta.dtype, device=META
        )
        made._ref = reference
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it without the function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> NoReturn:
        """The net under everything: an operation that `__torch_function__` did not get to see."""
        if func is torch.ops.aten._local_scalar_dense.default:  # a number that torch asks for: arange(p), full((2,), p)
            raise args[0]._ref.stream.needs_value("a number among the arguments")
        raise OperationRefused(str(func), _why_it_got_here())


def gradient_of(leaf: Leaf | None) -> Remote | None:
    """The gradient that it holds."""
    gradient = None if leaf is None else leaf.grad
    assert gradient is None or isinstance(gradient, Remote)
    return gradient


def known(operand: torch.Tensor) -> Meta:
    """A pointer's metadata, or those that a local operand has on a worker."""
    if isinstance(operand, Remote):
        return operand._ref.meta
    return meta(operand.shape, operand.dtype, operand.stride(), CONSTANT)


def _why_it_got_here() -> str:
    if is_traced():
        return SCRIPT
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_TRANSFORMS):
            return (
                "torch.func works inside torch's own kernels, where a pointer has no value; torch.autograd.grad and "
                "torch.autograd.functional take gradients on the worker, and a leading dimension does for vmap"
            )
        frame = frame.f_back
    return (
        "it reached torch's own kernels, where a pointer has no value; a pointer's own methods, as .clone(), go there, "
        "and .get() brings the values here"
    )
