"""Functions that the worker's owner lets clients call, by the names that the owner gave them.

They are the owner's own Python, on the owner's own machine. A client sends a name and arguments, and never a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused, UsageError

Function = Callable[..., Any]


class Functions:
    """`named` are called with tensors and numbers, and give tensors, numbers, or tuples and lists of them."""

    def __init__(self, named: Mapping[str, Function] | None = None) -> None:
        self._named: dict[str, Function] = {}
        for name, function in (named or {}).items():
            self.add(name, function)

    def add(self, name: str, function: Function) -> None:
        """Raises UsageError for what cannot be called."""
        if not callable(function):
            raise UsageError(f"{name!r} is a {type(function).__name__}, and a function was expected")
        self._named[name] = function

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Tensors alone, in place of numbers too. Raises OperationRefused for a name that is not here."""
        function = self._named.get(name)
        if function is None:
            raise OperationRefused(f"the function {name!r}", f"its owner offers {', '.join(self._named) or 'none'}")
        result = function(*args, **kwargs)
        if isinstance(result, bool | int | float | complex):
            return torch.tensor(result)
        return result if isinstance(result, Tensor) else list(_tensors(name, result))


def _tensors(name: str, value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, bool | int | float | complex):
        yield torch.tensor(value)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(name, each)
    elif value is not None:
        raise UsageError(f"the function {name!r} gave a {type(value).__name__}; tensors and numbers can be pointed to")
