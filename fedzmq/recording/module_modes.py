"""Modules in certain modes for as long as a `with` lasts: nobody need notice that they were looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

Modes = tuple[tuple[torch.nn.Module, bool], ...]
"""Of modules, whether they are in training."""


def modes_of(modules: Iterable[torch.nn.Module]) -> Modes:
    return tuple([(each, each.training) for each in modules])


@contextmanager
def in_modes(modes: Modes) -> Iterator[None]:
    """Afterwards each is in the mode that it was in."""
    before = modes_of(each for each, _ in modes)
    _set(modes)
    try:
        yield
    finally:
        _set(before)


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """In evaluation mode, with all its parts."""
    with in_modes(modes_of(module.modules())):
        module.eval()
        yield


def _set(modes: Modes) -> None:
    for each, is_training in modes:
        each.training = is_training
