"""Gradients of torch's samples beyond a plain backward: of in-place forms, and of gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from tests.pointers.databases.comparison import Comparison, copied, differentiable, directions_of, outcome_of, replaced
from tests.pointers.databases.operations import name_of, samples
from tests.pointers.databases.outcome import REFUSALS, Different, Outcome, compared
from tests.pointers.databases.outside import OUTSIDE, REGROUPED

Send = Callable[[torch.Tensor], torch.Tensor]
Process = Callable[[Any], Any]


def outcomes(ops: Sequence[Any], dtype: torch.dtype, order: str, most: int | None) -> Iterator[Outcome]:
    """Of each operation that has such a derivative."""
    comparison = Comparison()
    for op in ops:
        function = op.inplace_variant if order == "in place" else op.op
        if not op.supports_autograd or dtype not in op.supported_dtypes("cpu") or function is None:
            continue
        if order != "in place" and not op.supports_gradgrad:
            continue
        name = name_of(op)
        # Computed in pieces of the caller's choice, its gradient has no gradient; the worker's way has.
        reason = OUTSIDE.get(name) or REGROUPED.get(name)
        if reason is not None:
            yield Outcome(name, "outside", reason)
            continue
        inputs = samples(op, dtype, "function", most)
        if order == "in place":
            inputs = [each for each in inputs if not each.broadcasts_input and isinstance(each.input, torch.Tensor)]
        pairs = [(each.summary(), partial(_compare, comparison, ORDERS[order], function, each)) for each in inputs]
        yield compared(name, pairs)


def _compare(comparison: Comparison, order: Callable[..., Any], function: Any, sample: Any) -> None:
    given = (sample.input, sample.args, sample.kwargs)
    local = replaced(given, {}, lambda tensor: copied(tensor, True))
    remote = replaced(given, {}, lambda tensor: comparison.send(copied(tensor, True)))
    process = sample.output_process_fn_grad
    with comparison.settled():
        ordered = partial(order, function, process)
        compare_order(comparison, ordered, local, ordered, remote)


def compare_order(comparison: Comparison, here: Any, local: Any, there: Any, remote: Any) -> None:
    """`here` and `there` are such an order of two functions, which are given the operands that belong to each."""
    comparison.seed()
    wanted = outcome_of(partial(here, lambda tensor: tensor), local)
    found = outcome_of(partial(there, comparison.send), remote)
    if isinstance(wanted, Exception):
        comparison.also_fails(wanted, found)
    elif isinstance(found, REFUSALS):
        raise found
    elif isinstance(found, Exception):
        raise Different(f"through a pointer it raises {type(found).__name__}: {found}")
    else:
        # Where the gradient of a gradient's leaf is passed on unchanged, torch gives that very leaf.
        comparison.compare([_told(each) for each in wanted], [_told(each) for each in found], leaf=False)


def _told(tensor: torch.Tensor | None) -> torch.Tensor | str:
    return "None" if tensor is None else tensor


def _in_place(function: Any, process: Process, send: Send, first: Any, *args: Any, **kwargs: Any) -> list[Any]:
    written = first.clone()
    result = function(written, *args, **kwargs)
    roots = [each for each in dict.fromkeys([written, result]) if each.requires_grad]
    leaves = _leaves(first, args, kwargs)
    if not roots or not leaves:
        return roots
    directions = list(map(send, directions_of(roots)))
    return [*roots, *torch.autograd.grad(roots, leaves, directions, allow_unused=True)]


def second(function: Any, process: Process, send: Send, first: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """The gradients of gradients, to the operands and to what the first gradients were multiplied by."""
    roots = differentiable(process(function(first, *args, **kwargs)))
    leaves = _leaves(first, args, kwargs)
    if not roots or not leaves:
        return roots
    directions = [send(each).requires_grad_() for each in directions_of(roots)]
    once = torch.autograd.grad(roots, leaves, directions, create_graph=True, allow_unused=True)
    again = [each for each in once if each is not None and each.requires_grad]
    if not again:
        return list(once)
    others = list(map(send, directions_of(again)))
    return [*once, *torch.autograd.grad(again, leaves + directions, others, allow_unused=True)]


def _second_by_backward(
    function: Any, process: Process, send: Send, first: Any, *args: Any, **kwargs: Any
) -> list[Any]:
    roots = differentiable(process(function(first, *args, **kwargs)))
    leaves = _leaves(first, args, kwargs)
    if not roots or not leaves:
        return roots
    _squares(roots).backward(create_graph=True)
    once = [leaf.grad for leaf in leaves]
    again = [each for each in once if each is not None and each.requires_grad]
    if again:
        _squares(again).backward()
    return [leaf.grad for leaf in leaves]


def _squares(tensors: Sequence[torch.Tensor]) -> Any:
    return sum((each * each.conj()).real.sum() if each.is_complex() else (each * each).sum() for each in tensors)


def _leaves(*given: Any) -> list[torch.Tensor]:
    return [each for each in tree_flatten(given)[0] if isinstance(each, torch.Tensor) and each.requires_grad]


ORDERS: dict[str, Callable[..., list[Any]]] = {
    "in place": _in_place,
    "second": second,
    "second, by backward": _second_by_backward,
}
