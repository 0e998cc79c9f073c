"""The operators and properties of torch.Tensor that a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_BASE = vars(torch._C.TensorBase)  # a property reaches a tensor subclass as its getter

OPERATORS: dict[str, Callable[..., Any]] = {
    "Tensor.__add__": Tensor.__add__,
    "Tensor.__and__": Tensor.__and__,
    "Tensor.__eq__": Tensor.__eq__,
    "Tensor.__floordiv__": Tensor.__floordiv__,
    "Tensor.__ge__": Tensor.__ge__,
    "Tensor.__getitem__": Tensor.__getitem__,
    "Tensor.__gt__": Tensor.__gt__,
    "Tensor.__iadd__": Tensor.__iadd__,
    "Tensor.__iand__": Tensor.__iand__,
    "Tensor.__ifloordiv__": Tensor.__ifloordiv__,
    "Tensor.__ilshift__": Tensor.__ilshift__,
    "Tensor.__imod__": Tensor.__imod__,
    "Tensor.__imul__": Tensor.__imul__,
    "Tensor.__invert__": Tensor.__invert__,
    "Tensor.__ior__": Tensor.__ior__,
    "Tensor.__ipow__": Tensor.__ipow__,
    "Tensor.__irshift__": Tensor.__irshift__,
    "Tensor.__isub__": Tensor.__isub__,
    "Tensor.__itruediv__": Tensor.__itruediv__,
    "Tensor.__ixor__": Tensor.__ixor__,
    "Tensor.__le__": Tensor.__le__,
    "Tensor.__lshift__": Tensor.__lshift__,
    "Tensor.__lt__": Tensor.__lt__,
    "Tensor.__matmul__": Tensor.__matmul__,
    "Tensor.__mod__": Tensor.__mod__,
    "Tensor.__mul__": Tensor.__mul__,
    "Tensor.__ne__": Tensor.__ne__,
    "Tensor.__or__": Tensor.__or__,
    "Tensor.__pow__": Tensor.__pow__,
    "Tensor.__radd__": Tensor.__radd__,
    "Tensor.__rand__": Tensor.__rand__,
    "Tensor.__reversed__": Tensor.__reversed__,
    "Tensor.__rfloordiv__": Tensor.__rfloordiv__,
    "Tensor.__rlshift__": Tensor.__rlshift__,
    "Tensor.__rmatmul__": Tensor.__rmatmul__,
    "Tensor.__rmod__": Tensor.__rmod__,
    "Tensor.__rmul__": Tensor.__rmul__,
    "Tensor.__ror__": Tensor.__ror__,
    "Tensor.__rpow__": Tensor.__rpow__,
    "Tensor.__rrshift__": Tensor.__rrshift__,
    "Tensor.__rshift__": Tensor.__rshift__,
    "Tensor.__rsub__": Tensor.__rsub__,
    "Tensor.__rtruediv__": Tensor.__rtruediv__,
    "Tensor.__rxor__": Tensor.__rxor__,
    "Tensor.__setitem__": Tensor.__setitem__,
    "Tensor.__sub__": Tensor.__sub__,
    "Tensor.__truediv__": Tensor.__truediv__,
    "Tensor.__xor__": Tensor.__xor__,
    "Tensor.H.get": _BASE["H"].__get__,
    "Tensor.T.get": _BASE["T"].__get__,
    "Tensor.imag.get": _BASE["imag"].__get__,
    "Tensor.mH.get": _BASE["mH"].__get__,
    "Tensor.mT.get": _BASE["mT"].__get__,
    "Tensor.real.get": _BASE["real"].__get__,
}
