"""A call on pointers, as a stream sees it that records instead of sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from fedzmq.pointers.metadata import Meta


class Call(Protocol):
    """Of a function of torch's. `number` is that of the operation, and `metas` are its operands' in order."""

    @property
    def func(self) -> Callable[..., Any]: ...

    @property
    def args(self) -> tuple[Any, ...]: ...

    @property
    def kwargs(self) -> dict[str, Any]: ...

    @property
    def number(self) -> int: ...

    @property
    def metas(self) -> list[Meta]: ...

    def by(self, function: Callable[..., Any], operands: Sequence[torch.Tensor]) -> Any:
        """What another function gives for the same arguments, with these in place of the operands."""


class OwnCall(Protocol):
    """Of an autograd function of the program's own. Tensors among what it gave go by their places there."""

    def linked_tensors(self) -> dict[int, Any]:
        """The outputs that are to take a gradient, as they were made: without a history."""

    def wanted_tensors(self) -> list[Any]:
        """The inputs that require grad."""

    def gated(self) -> dict[int, Any]:
        """The outputs, linked by a gate through which their gradients pass."""

    def passed(self, gradients: Sequence[Any]) -> list[torch.Tensor | None]:
        """The gradients of what is wanted, by the function's own backward, from those of what is linked."""
