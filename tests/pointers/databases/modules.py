"""torch's own samples of its modules: sent, run, differentiated, saved, loaded and fetched, beside the same here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.testing import assert_close
from torch.utils._pytree import tree_flatten

from tests.pointers.databases.comparison import (
    SEED,
    Comparison,
    copied,
    differentiable,
    directions_of,
    outcome_of,
    replaced,
)
from tests.pointers.databases.derivatives import compare_order, second
from tests.pointers.databases.outcome import REFUSALS, Different, Outcome, compared


def outcomes(
    infos: Sequence[Any], dtype: torch.dtype, training: bool, most: int | None, order: str = "first"
) -> Iterator[Outcome]:
    """Of each module: all of it with the first derivatives, or the second derivatives."""
    comparison = Comparison()
    for info in infos:
        if dtype in info.dtypes and (order == "first" or info.supports_gradgrad):
            yield compared(info.name, _comparisons(comparison, info, dtype, training, most, ORDERS[order]))


def _comparisons(
    comparison: Comparison,
    info: Any,
    dtype: torch.dtype,
    training: bool,
    most: int | None,
    compare: Callable[..., None],
) -> Iterator[tuple[str, Callable[[], None]]]:
    inputs = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    inputs = [each for each in inputs if each.forward_input is not None]
    if most is not None and len(inputs) > most:
        inputs = inputs[:: -(-len(inputs) // most)]
    for each in inputs:
        summary = f"{each.desc} {each.constructor_input.args} {each.constructor_input.kwargs}".replace("\n", " ")
        yield summary[:300], partial(compare, comparison, info, each, dtype, training)


def _built(info: Any, sample: Any, dtype: torch.dtype, training: bool) -> nn.Module:
    torch.manual_seed(SEED)
    module: nn.Module = info.module_cls(*sample.constructor_input.args, **sample.constructor_input.kwargs)
    module.to(dtype).train(training)
    if info.is_lazy:  # it learns its shapes here, from a first batch
        with torch.no_grad():
            module(*sample.forward_input.args, **sample.forward_input.kwargs)
    return module


def _compare(comparison: Comparison, info: Any, sample: Any, dtype: torch.dtype, training: bool) -> None:
    given = (sample.forward_input.args, sample.forward_input.kwargs)
    local = _built(info, sample, dtype, training)
    remote = copy.deepcopy(local)
    objects = {name: id(parameter) for name, parameter in remote.named_parameters()}
    with comparison.settled():
        remote.send(comparison.place)
        here = replaced(given, {}, lambda tensor: copied(tensor, True))
        there = replaced(given, {}, lambda tensor: comparison.send(copied(tensor, True)))
        comparison.seed()
        wanted = outcome_of(partial(_called, local), (*here, {}))
        found = outcome_of(partial(_called, remote), (*there, {}))
        if isinstance(wanted, Exception):
            comparison.also_fails(wanted, found)
            return
        if isinstance(found, REFUSALS):
            raise found
        if isinstance(found, Exception):
            raise Different(f"through pointers it raises {type(found).__name__}: {found}")
        comparison.compare(wanted, found)
        _compare_gradients(comparison, wanted, found, [local, *_tensors(here)], [remote, *_tensors(there)])
        comparison.compare(dict(local.state_dict()), dict(remote.state_dict()))
        _compare_loading(comparison, local, remote)
    remote.get()
    if objects != {name: id(parameter) for name, parameter in remote.named_parameters()}:
        raise Different("its parameters are other objects than before")
    for name, parameter in local.state_dict(keep_vars=True).items():
        brought = remote.state_dict(keep_vars=True)[name]
        if type(parameter) is not type(brought):
            raise Different(f"{name} came home as a {type(brought).__name__}")
        assert_close(brought, parameter, equal_nan=True)
        assert_close(brought.grad, parameter.grad, equal_nan=True)


def _compare_second(comparison: Comparison, info: Any, sample: Any, dtype: torch.dtype, training: bool) -> None:
    local = _built(info, sample, dtype, training)
    remote = copy.deepcopy(local)
    given = (sample.forward_input.args, sample.forward_input.kwargs)
    with comparison.settled():
        remote.send(comparison.place)  # type: ignore[operator]  # installed
        here = replaced(given, {}, lambda tensor: copied(tensor, True))
        there = replaced(given, {}, lambda tensor: comparison.send(copied(tensor, True)))
        compare_order(comparison, *_second(local, here), *_second(remote, there))


def _second(module: nn.Module, given: Any) -> tuple[Any, Any]:
    """The order, and its operands: the parameters are among those that it differentiates by."""

    def called(parameters: Any, args: Any, kwargs: Any) -> Any:
        return module(*args, **kwargs)

    return partial(second, called, lambda output: output), (list(module.parameters()), given, {})


def _compare_gradients(comparison: Comparison, wanted: Any, found: Any, here: list[Any], there: list[Any]) -> None:
    roots, pointers = differentiable(wanted), differentiable(found)
    if not roots:
        return
    directions = directions_of(roots)
    torch.autograd.backward(roots, directions)
    torch.autograd.backward(pointers, list(map(comparison.send, directions)))
    for name, leaf, pointer in zip(_names(here), _leaves(here), _leaves(there), strict=True):
        if (leaf.grad is None) != (pointer.grad is None):
            raise Different(f"the gradient of {name} is {pointer.grad} and not {leaf.grad}")
        if leaf.grad is not None:
            comparison.compare(leaf.grad, pointer.grad)


def _compare_loading(comparison: Comparison, local: nn.Module, remote: nn.Module) -> None:
    """What was saved over there, and what was saved here, loads into another module over there."""
    other = copy.deepcopy(local)
    other.zero_grad()
    _changed(other).send(comparison.place)  # type: ignore[attr-defined]  # installed
    for state in (remote.state_dict(), local.state_dict()):
        _changed(other).load_state_dict(state)
        comparison.compare(dict(local.state_dict()), dict(other.state_dict()))


def _changed(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    return module


def _called(module: nn.Module, args: Any, kwargs: Any) -> Any:
    return module(*args, **kwargs)


def _tensors(given: Any) -> list[torch.Tensor]:
    return [each for each in tree_flatten(given)[0] if isinstance(each, torch.Tensor)]


def _leaves(holders: list[Any]) -> list[torch.Tensor]:
    return [*holders[0].parameters(), *holders[1:]]


def _names(holders: list[Any]) -> list[str]:
    return [*(name for name, _ in holders[0].named_parameters()), *(f"operand {n}" for n in range(len(holders) - 1))]


ORDERS: dict[str, Callable[..., None]] = {"first": _compare, "second": _compare_second}
