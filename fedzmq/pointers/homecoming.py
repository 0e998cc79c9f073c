"""Several tensors that come home together: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from fedzmq.pointers.remote import Remote


def all_home(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """What `get` gives of each of them. Where one cannot be had it raises, and every pointer is what it was."""
    tensors = list(tensors)
    values = [each._value() if isinstance(each, Remote) else each for each in tensors]  # type: ignore[attr-defined]
    for each in tensors:
        if isinstance(each, Remote):
            each._leave()  # type: ignore[attr-defined]  # every pointer has both
    return values
