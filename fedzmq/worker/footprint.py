"""How much memory tensors keep: their own, and what the graphs behind them hold for backward.

Memory that several share is counted once. It takes a while, so it is asked for only where somebody has to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from torch import Tensor

OBJECT_BYTES = 1024  # that a tensor, or an operation of a graph, takes beside its elements
_SAVED = "_raw_saved_"  # what operations call what they hold, as it is though it was written to since


def footprint(tensors: Iterable[Tensor]) -> int:
    """In bytes."""
    storages: dict[int, int] = {}
    nodes: set[Any] = set()
    waiting = list(tensors)
    count = len(waiting)
    while waiting:
        tensor = waiting.pop()
        with suppress(NotImplementedError, RuntimeError):  # it has no plain memory
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        if (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None:
            waiting.append(tensor.grad)
        behind = [tensor.grad_fn]
        while behind:
            node = behind.pop()
            if node is not None and node not in nodes:
                nodes.add(node)
                waiting += _held(node)
                behind += [following for following, _ in node.next_functions]
    return sum(storages.values()) + OBJECT_BYTES * (count + len(nodes))


def _held(node: Any) -> Iterator[Tensor]:
    for name in dir(node):
        if name.startswith(_SAVED):
            with suppress(AttributeError, RuntimeError):  # it was let go of
                saved = getattr(node, name)
                for each in saved if isinstance(saved, tuple) else (saved,):
                    if each is not None and each.data is not None:
                        yield each.data
        elif name == "variable":  # a leaf
            yield node.variable
