"""Where the updates of a round come together, piece by piece: what a strategy gives, and a round fills and empties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class Takes(Protocol):
    """Takes updates piece by piece.

    - `open` begins: the updates have the form of this state, whose values may be read until the round's step.
    - `fold` takes a piece of a worker's update: from an element on, of the tensor at that place, flattened. The same
      piece comes of every worker, in the order of their names. The values are all finite, and their memory goes to
      others afterwards.
    """

    def open(self, state: Sequence[torch.Tensor]) -> None: ...

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None: ...


class Gives(Protocol):
    """Gives the tensor at a place of the state, of what updates make together, in its precision, float32 at least.

    It is asked for once, when all was folded, and the caller may write to it then.
    """

    def combined(self, place: int) -> torch.Tensor: ...


class Collector(Takes, Gives, Protocol):
    """Where the updates of a round come together. `close` lets go of everything; twice is fine."""

    def close(self) -> None: ...
