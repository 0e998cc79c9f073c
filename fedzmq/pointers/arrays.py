"""numpy's arrays as operands: an array is shipped to the worker of the pointer that it meets, as a local tensor is.

numpy asks a pointer what its own operators shall do with it. Any other function of numpy's needs the value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fedzmq.pointers.signature import GETITEM, SETITEM

OPERATORS: dict[np.ufunc, Callable[[Any, Any], Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.matmul: operator.matmul,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
}


def operand(value: Any) -> Any:
    """An array as a tensor of its own, a number of numpy's as Python's; anything else as it is."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return value.item() if isinstance(value, np.generic) else value


def without_arrays(func: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with tensors in place of arrays, those of a subscript among them."""
    if (func is GETITEM or func is SETITEM) and type(args[1]) is tuple:
        args = (args[0], tuple([operand(each) for each in args[1]]), *args[2:])
    return tuple([operand(each) for each in args])
