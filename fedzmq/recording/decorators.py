"""`@plan` and `func2plan`: how a function becomes a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from torch import Tensor

from fedzmq.errors import PlanError
from fedzmq.recording.plan import Plan

Function = Callable[..., Any]


@overload
def plan(function: Function, /) -> Plan: ...


@overload
def plan(
    *examples: Tensor, args_shape: Sequence[Any] | None = None, state: Sequence[Tensor] = (), name: str = ""
) -> Callable[[Function], Plan]: ...


def plan(
    *given: Any, args_shape: Sequence[Any] | None = None, state: Sequence[Tensor] = (), name: str = ""
) -> Plan | Callable[[Function], Plan]:
    """Make a plan of a function or module: `@plan`, `@plan(args_shape=[(-1, 2)])`, or `@plan(x, y)` with examples.

    Without either, the first call with local tensors builds the plan, or `plan.build(...)` does. See `Plan`.
    """
    if len(given) == 1 and callable(given[0]) and not isinstance(given[0], Tensor):
        return Plan(given[0], args_shape=args_shape, state=state, name=name)
    if given and all(isinstance(each, (int, float, complex, str, bytes, type(None))) for each in given):
        raise PlanError(f"a plan is made of a function or module, or of tensors as examples, and not {given[0]!r:.60}")
    return lambda function: Plan(function, args_shape=args_shape, examples=given, state=state, name=name)


def func2plan(
    args_shape: Sequence[Any] | None = None, state: Sequence[Tensor] | None = None
) -> Callable[[Function], Plan]:
    """As `plan`, with the arguments that it has in PySyft."""
    return lambda function: Plan(function, args_shape=args_shape, state=state or ())
