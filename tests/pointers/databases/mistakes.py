"""torch's own wrong calls of its operations, modules and optimizers: what raises here raises the same through pointers.

It raises at once, unless only values tell.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

from fedzmq.errors import OperationRefused, RemoteError
from tests.pointers.databases.comparison import SEED, Comparison, copied, replaced
from tests.pointers.databases.operations import name_of
from tests.pointers.databases.outcome import Different, Outcome, compared
from tests.pointers.databases.outside import OUTSIDE

Comparisons = Iterator[tuple[str, Callable[[], None]]]

# What no longer is wrong once each tensor has been sent by itself, or what no worker could be sent.
_NOT_SENT = ("single memory location", "on the same device", "but got devices", "64 dims")


def outcomes(ops: Sequence[Any]) -> Iterator[Outcome]:
    """Of each operation that has such calls."""
    comparison = Comparison()
    for op in ops:
        if op.error_inputs_func is None or name_of(op) in OUTSIDE:
            continue
        yield compared(name_of(op), _of_operation(comparison, op))


def of_modules(infos: Sequence[Any], dtype: torch.dtype) -> Iterator[Outcome]:
    """Of each module that has such calls: sent, and built of pointers where it is built of tensors."""
    comparison = Comparison()
    for info in infos:
        if info.module_error_inputs_func is not None and dtype in info.dtypes:
            yield compared(info.name, _of_module(comparison, info, dtype))


def of_optimizers(infos: Sequence[Any]) -> Iterator[Outcome]:
    """Of each optimizer: with remote parameters, and with remote numbers where a number is a tensor."""
    comparison = Comparison()
    for info in infos:
        yield compared(info.optim_cls.__name__, _of_optimizer(comparison, info))


def _of_operation(comparison: Comparison, op: Any) -> Comparisons:
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        given = (sample.input, sample.args, sample.kwargs)
        expected = _raised(partial(_called, op), *given)
        if expected is not None and not any(text in str(expected) for text in _NOT_SENT):
            yield sample.summary(), partial(_compare, comparison, partial(_called, op), given, expected)


def _called(op: Any, first: Any, args: Any, kwargs: Any) -> None:
    op(first, *args, **kwargs)


def _of_module(comparison: Comparison, info: Any, dtype: torch.dtype) -> Comparisons:
    for error in info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=True):
        built, called = error.module_error_input.constructor_input, error.module_error_input.forward_input
        given = () if called is None else (called.args, called.kwargs)
        expected = _raised(partial(_module, info.module_cls, lambda module: module), built.args, built.kwargs, *given)
        if expected is None:
            continue
        call = partial(_module, info.module_cls, comparison.send)
        summary = f"{built.args} {built.kwargs}"
        if given:
            yield summary, partial(_compare, comparison, partial(call, built.args, built.kwargs), given, expected)
        if _holds_tensors((built.args, built.kwargs)):
            every = (built.args, built.kwargs, *given)
            yield f"{summary}, built of pointers", partial(_compare, comparison, call, every, expected)


def _module(
    cls: Any, send: Callable[[Any], Any], args: Any, kwargs: Any, operands: Any = (), keywords: Any = None
) -> None:
    torch.manual_seed(SEED)
    send(cls(*args, **kwargs))(*operands, **(keywords or {}))


def _of_optimizer(comparison: Comparison, info: Any) -> Comparisons:
    for error in info.optim_error_inputs_func("cpu", torch.float32):
        made = error.optimizer_error_input
        params = [nn.Parameter(torch.ones(2, 3))] if made.params is None else made.params
        step = partial(_stepped, info.optim_cls)
        expected = _raised(step, params, made.kwargs)
        if expected is None or "sparse" in str(params):
            continue
        yield made.desc, partial(_compare, comparison, step, (params, made.kwargs), expected)
        if _holds_tensors(made.kwargs):
            step = partial(_stepped, info.optim_cls, kwargs=made.kwargs)
            yield f"{made.desc}, numbers here", partial(_compare, comparison, step, (params,), expected)


def _stepped(cls: Any, params: Any, kwargs: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        cls(params, **kwargs).step()


def _compare(comparison: Comparison, call: Callable[..., Any], given: Any, expected: Exception) -> None:
    found = _raised(call, *replaced(given, {}, partial(_sent, comparison)))
    if found is None or isinstance(found, RemoteError):
        try:
            comparison.place.stream.sync()
        except RemoteError as late:
            found = late
        kind = found.error if isinstance(found, RemoteError) else "nothing"
        if kind != type(expected).__name__:
            raise Different(f"it raises {kind} and not {type(expected).__name__}: {expected}")
        return  # values alone tell, and those are on the worker
    if isinstance(found, OperationRefused):
        raise found
    if type(found) is not type(expected):
        raise Different(f"it raises {type(found).__name__}: {found}, and not {type(expected).__name__}: {expected}")


def _sent(comparison: Comparison, tensor: torch.Tensor) -> torch.Tensor:
    pointer = comparison.send(copied(tensor, True))
    if tensor.grad is not None:
        pointer.grad = comparison.send(copied(tensor.grad, False))
    return pointer


def _holds_tensors(given: Any) -> bool:
    return any(isinstance(each, torch.Tensor) for each in tree_flatten(given)[0])


def _raised(call: Callable[..., Any], *given: Any) -> Exception | None:
    try:
        call(*given)
    except Exception as error:
        return error
    return None
