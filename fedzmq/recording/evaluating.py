"""A module in evaluation mode for as long as a `with` lasts: nobody need notice that it was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Afterwards each of its modules is in the mode that it was in."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, was_training in modes:
            each.training = was_training
