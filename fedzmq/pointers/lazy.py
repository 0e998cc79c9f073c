"""Modules that learn their shapes from a first batch, sent before it: they follow it to the worker where it is.

Until then there is nothing of them to send. Their shapes, and the numbers that they start from, are made here, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn
from torch.nn.parameter import is_lazy

from fedzmq.errors import PointerError
from fedzmq.pointers.destination import Destination

Send = Callable[[nn.Module, Destination], nn.Module]


class Follows:
    """The step before the first call of a lazy module, and after the one of torch's in which it learns its shapes."""

    def __init__(self, destination: Destination, send: Send) -> None:
        self._destination = destination
        self._send = send

    def __call__(self, module: nn.Module, *args: Any) -> None:
        stay(module)
        self._send(module, self._destination)

    def __deepcopy__(self, memo: object) -> Follows:
        return self

    def __reduce__(self) -> NoReturn:
        raise PointerError(
            "a module without shapes that was sent cannot be pickled or saved: it follows its first batch to "
            f"{self._destination.name!r}; .get() it first"
        )


def follow(module: nn.Module, destination: Destination, send: Send) -> None:
    """Have all lazy ones of its modules go where the module goes, as soon as they have shapes."""
    for each in module.modules():
        if any(map(is_lazy, (*each.parameters(recurse=False), *each.buffers(recurse=False)))):
            stay(each)
            each.register_forward_pre_hook(Follows(destination, send))


def stay(module: nn.Module) -> None:
    """They follow nobody."""
    for each in module.modules():
        for key, hook in list(each._forward_pre_hooks.items()):
            if isinstance(hook, Follows):
                del each._forward_pre_hooks[key]
