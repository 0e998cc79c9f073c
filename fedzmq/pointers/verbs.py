"""What torch's tensors and modules are given: the verbs `send`, `get`, `move`, `copy`, and the property `location`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fedzmq.pointers.copies import Copies
from fedzmq.pointers.destination import Destination
from fedzmq.pointers.modules import get_module, location_of, move_module, send_module
from fedzmq.pointers.pointer import send_tensor


class Verb:
    """A method, or with `property` a property, that gives way to whatever a module of the user's has by that name.

    A submodule called `copy` is no attribute of its module but an entry in a table of it, which an ordinary method of
    nn.Module would hide.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, property: bool = False) -> None:
        self.function = function
        self.name = name
        self._property = property

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.function
        for table in ("_modules", "_parameters", "_buffers"):
            members = instance.__dict__.get(table)
            if members and self.name in members:
                return members[self.name]
        return self.function(instance) if self._property else self.function.__get__(instance, owner)


def install() -> None:
    """Once for a process; again is nothing."""
    if isinstance(vars(nn.Module).get("send"), Verb):
        return
    copies = Copies()
    copies.watch()
    _give(nn.Module, "send", send_module)
    _give(nn.Module, "get", get_module)
    _give(nn.Module, "move", move_module)
    _give(nn.Module, "copy", copies.copy)
    _give(nn.Module, "location", location_of, property=True)
    _give(torch.Tensor, "send", _send)
    _give(torch.Tensor, "get", _get)
    _give(torch.Tensor, "move", _send)
    _give(torch.Tensor, "copy", _copy)
    _give(torch.Tensor, "location", _here, property=True)


def _give(to: type, name: str, function: Callable[..., Any], *, property: bool = False) -> None:
    # A bound method would be bound already: each verb is a plain function of the tensor or module.
    def verb(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    verb.__name__, verb.__qualname__, verb.__doc__ = name, f"{to.__name__}.{name}", function.__doc__
    setattr(to, name, Verb(verb, name, property=property))


def _send(tensor: torch.Tensor, destination: Destination) -> torch.Tensor:
    """A pointer to a copy of the tensor on a worker."""
    return send_tensor(tensor, destination)


def _get(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, which is here already."""
    return tensor


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A second tensor in the same place; a leaf where the first is one."""
    if not tensor.is_leaf:
        return tensor.clone()
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _here(tensor: torch.Tensor) -> None:
    """None: the tensor is in this process."""
