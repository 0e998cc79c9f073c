"""A call of a function of torch's on pointers, as those see it that learn what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from fedzmq.pointers.metadata import Meta


class Call(Protocol):
    """`number` is that of the operation, and `metas` are its operands' in order."""

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
