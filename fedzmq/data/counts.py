"""How many examples of each class a set has."""

from __future__ import annotations

import torch

from fedzmq.data.data import targets_of
from fedzmq.data.examples import Examples


def label_counts(examples: Examples) -> tuple[int, ...]:
    """For each class from 0, of all that the set knows of; empty in a regression."""
    if examples.classes is None:
        return ()
    counts: list[int] = torch.bincount(targets_of(examples), minlength=examples.classes).tolist()
    return tuple(counts)
