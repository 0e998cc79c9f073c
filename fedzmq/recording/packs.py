"""Packed sequences while a function is recorded: how many rows they have, and at how many steps, only values tell.

What is packed, run and padded again has forms that follow from these two and from the number of sequences, which is
that of the rows at the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PACK, PAD = torch._pack_padded_sequence, torch._pad_packed_sequence
NETWORKS: frozenset[Callable[..., Any]] = frozenset({torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu})


@dataclass(frozen=True, slots=True)
class Pack:
    """So many sequences of so many steps at most, of which so many rows are there."""

    sequences: int
    steps: int
    rows: int


def pack_of(steps: int, value: Tensor, batch_first: bool) -> Pack:
    """All sequences are supposed to be of one length."""
    sequences = value.shape[0 if batch_first else 1]
    return Pack(sequences, steps, sequences * steps)


def packed(pack: Pack) -> Callable[..., Any]:
    def stand_in(value: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
        rows = value.flatten(0, 1)
        places = torch.zeros(pack.rows, dtype=torch.long, device=value.device)
        return rows[places], torch.zeros(pack.steps, dtype=torch.long, device=value.device)

    return stand_in


def padded(pack: Pack) -> Callable[..., Any]:
    def stand_in(data: Tensor, sizes: Tensor, batch_first: bool, padding: float, length: int) -> tuple[Tensor, Tensor]:
        places = torch.zeros(pack.sequences * length, dtype=torch.long, device=data.device)
        shape = (pack.sequences, length) if batch_first else (length, pack.sequences)
        lengths = torch.zeros(pack.sequences, dtype=torch.long, device=data.device)
        return data[places].reshape(*shape, *data.shape[1:]), lengths

    return stand_in


def run(data: Tensor, sizes: Tensor, hidden: Any, weights: list[Tensor], *options: Any) -> tuple[Tensor, ...]:
    """A recurrent network over packed sequences: its outputs, and a state for each that it began with."""
    states = [hidden] if isinstance(hidden, Tensor) else list(hidden)
    all_in_one = sum((each.sum() for each in (*states, *weights)), data.sum())
    width = states[0].shape[-1] * (2 if options[-1] else 1)
    outputs = torch.ones((len(data), width), dtype=data.dtype, device=data.device) * all_in_one
    return outputs, *[torch.ones_like(state) * all_in_one for state in states]
