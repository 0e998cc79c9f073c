"""What a training goes on from, between two of its rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state after so many rounds; seeds need no keeping, as they are derived from the run's.

    run: the name under which workers keep what stays with them. model: its parameters and buffers. memory: the
    strategy's. counted: of each worker, the last round in which its answer counted. asked: of each worker, how often
    it was asked, where there are no rounds. randomness: the process's own, for what a user draws; "" for none.
    """

    round: int
    run: str
    model: Mapping[str, torch.Tensor]
    memory: Mapping[str, torch.Tensor]
    counted: Mapping[str, int]
    asked: Mapping[str, int] = field(default_factory=dict)
    randomness: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A round that began: who was asked, of those who were here."""

    round: int
    workers: tuple[str, ...]
    present: tuple[str, ...]
