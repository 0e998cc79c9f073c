"""Operations on the meta device, which computes shapes and allocates nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Keywords, Operation, check_bytes, leaves


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """In it no tensor is made that would be too large, be it a result or on the way to one."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name
        self._limit = limit

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in leaves(made):
            if isinstance(each, Tensor):
                check_bytes(self._name, each.numel() * each.element_size(), self._limit)
        return made


def on_meta(function: Operation, arguments: Arguments, keywords: Keywords) -> Any:
    """The result as far as its shape goes, which takes no memory."""
    given, named = _to_meta(list(arguments)), _to_meta(dict(keywords))
    # What is enlarged comes first, and has no value there even where it could be taken for a number.
    if given and isinstance(given[0], Tensor):
        given[0] = given[0].detach().to("meta")
    elif isinstance(named.get("input"), Tensor):
        named["input"] = named["input"].detach().to("meta")
    return function(*given, **named)


def check_on_meta(name: str, function: Operation, arguments: Arguments, keywords: Keywords, limit: int) -> None:
    """Raises LimitExceeded, and OperationRefused where its size cannot be told before."""
    try:
        with Bounded(name, limit):
            on_meta(function, arguments, keywords)
    except NotImplementedError:
        raise OperationRefused(name, "its result could be too large, and its size cannot be told before") from None


def bytes_of(result: Any) -> int:
    """Of all tensors in it together."""
    return sum(value.numel() * value.element_size() for value in leaves(result) if isinstance(value, Tensor))


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        # A number in a tensor stays one: on the meta device it would have no value.
        return value.detach() if value.dim() == 0 else value.detach().to("meta")
    if type(value) in (list, tuple):
        return type(value)([_to_meta(item) for item in value])
    if isinstance(value, dict):
        return {key: _to_meta(item) for key, item in value.items()}
    return torch.device("meta") if isinstance(value, torch.device) else value
