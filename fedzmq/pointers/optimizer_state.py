"""What an optimizer remembers of a parameter is where the parameter is: it follows at the first step after a move.

Momentum that stayed behind would stop the next step, or would have to pass through the client at every one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.stream import Stream

_NUMBERS = frozenset({"eta", "mu", "mu_product", "step"})


def follow_parameters() -> None:
    """Have every optimizer of this process bring its state along from now on: at a step, and where it is shown."""
    register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: bring_along(optimizer))
    state_dict: Callable[..., dict[str, Any]] = Optimizer.state_dict

    def brought_state_dict(optimizer: Optimizer) -> dict[str, Any]:
        bring_along(optimizer)
        return state_dict(optimizer)

    Optimizer.state_dict = brought_state_dict  # type: ignore[method-assign, assignment]  # on purpose


def bring_along(optimizer: Optimizer) -> None:
    """Bring the state of each parameter to where the parameter is. Numbers stay here, where torch keeps them."""
    for parameter, state in optimizer.state.items():
        if isinstance(parameter, torch.Tensor):
            _follow(parameter, state)


def _follow(parameter: torch.Tensor, state: dict[str, Any]) -> None:
    place = parameter._ref.stream if isinstance(parameter, Pointer) else None

    def beside(value: Any) -> Any:
        return _brought(value, parameter) if _is_elsewhere(value, place) else value

    for name, value in state.items():
        kind = type(value)
        if kind is torch.Tensor and place is not None and not value.dim() and name not in _NUMBERS:
            state[name] = _brought(value, parameter)  # of a parameter that is a number itself
        elif kind is torch.Tensor or kind is Pointer:
            state[name] = beside(value)
        elif kind is list and any(_is_elsewhere(each, place) for each in leaves(value)):
            state[name] = mapped(value, beside)


def _is_elsewhere(value: Any, place: Stream | None) -> bool:
    if isinstance(value, Pointer):
        return value._ref.stream is not place
    return isinstance(value, torch.Tensor) and place is not None and value.dim() > 0


def _brought(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    if not isinstance(parameter, Pointer):
        return value.get()  # type: ignore[attr-defined, no-any-return]  # a pointer, or it would be where it is to be
    return value.move(parameter.location)  # type: ignore[attr-defined, no-any-return]  # every tensor has it
