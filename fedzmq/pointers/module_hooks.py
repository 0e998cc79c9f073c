"""Backward hooks of modules, for outputs and inputs that are pointers.

Torch puts a step of its own into the graph for them, which pointers go past. Here each tensor gives way to a view of
it, and to a gate that their gradients pass together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import BackwardHook

from fedzmq.pointers.graph import Gate
from fedzmq.pointers.hooks import watch
from fedzmq.pointers.remote import Remote

_Step = Callable[[Any], None]


def watch_modules() -> None:
    """Have torch's `register_full_backward_hook` and its pre-hook see pointers, from now on."""
    local: Callable[..., Any] = BackwardHook._apply_on_tensors

    def apply_on_tensors(own: Any, step: _Step, args: Any) -> Any:
        if any(isinstance(arg, Remote) for arg in args):
            return _apply_on_pointers(step, args)
        return local(own, step, args)

    BackwardHook._apply_on_tensors = apply_on_tensors  # type: ignore[method-assign]  # on purpose


def _apply_on_pointers(step: _Step, args: Any) -> tuple[Any, list[int] | None]:
    """The arguments with a view in place of each tensor, and where the tensors are."""
    places = [place for place, arg in enumerate(args) if isinstance(arg, torch.Tensor)]
    watched = [place for place in places if isinstance(args[place], Remote) and args[place].requires_grad]
    if not (watched and torch.is_grad_enabled()):
        return args, None
    views = {place: args[place].view_as(args[place]) for place in watched}
    step(_Graph(list(views.values()), [places.index(place) for place in watched], len(places)))
    changed = [views.get(place, arg) for place, arg in enumerate(args)]
    return tuple(changed) if type(args) is tuple else type(args)(*changed), places


class _Graph:
    """What torch takes for the node of its own step: it registers one hook there.

    The hook is given one gradient for each tensor, None for one that requires none.
    """

    def __init__(self, views: list[Any], order: list[int], size: int) -> None:
        self._gate = Gate(tuple([view._ref.node for view in views]))
        self._order = order
        self._size = size
        for view in views:
            watch(view, view._ref.node).gate = self._gate

    def register_hook(self, hook: Callable[..., Any]) -> None:
        def all_of(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
            places = dict(zip(self._order, gradients, strict=True))
            return tuple([places.get(place) for place in range(self._size)])

        def passed(current: tuple[Any, ...], given: tuple[Any, ...]) -> Any:
            results = hook(all_of(current), all_of(given))
            return None if results is None else [results[place] for place in self._order]

        self._gate.hooks.append(passed)
