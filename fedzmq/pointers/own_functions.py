"""Autograd functions of a program's own: their backward is code, and a worker's graph has no place for it.

Torch would run their forward on pointers and leave their part of the gradient out, without a word. A recording refuses
them by itself, because a plan has another way out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function

from fedzmq.errors import OperationRefused
from fedzmq.pointers.remote import Remote

_OURS = "fedzmq."


def refuse_own_functions() -> None:
    """Have `torch.autograd.Function.apply` refuse pointers that require grad, from now on."""
    local = Function.apply.__func__  # type: ignore[attr-defined]  # a class method

    def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() and not cls.__module__.startswith(_OURS) and _any_wanted([*args, *kwargs.values()]):
            raise OperationRefused(
                f"{cls.__name__}.apply",
                "its backward is code of yours, and the graph is the worker's; write it with torch's operations and "
                "hooks (of checkpoint, use_reentrant=False)",
            )
        return local(cls, *args, **kwargs)

    Function.apply = classmethod(apply)  # type: ignore[method-assign, assignment]  # on purpose


def _any_wanted(arguments: list[Any]) -> bool:
    return any(isinstance(arg, Remote) and arg.requires_grad and not arg._ref.stream.is_recording for arg in arguments)
