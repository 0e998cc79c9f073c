"""Groups of pointers by where they are, for which torch asks C++, where every pointer is meta.

Optimizers with foreach, averages of a model and clipped norms take a group at once, and bring numbers to its device,
which would make numbers without a value of them. One worker's tensors are one group, whatever else is on its device.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fedzmq.pointers.remote import Remote

_THEIRS = "_group_tensors_by_device_and_dtype"
_WHO_GROUPS = ("torch.optim.optimizer", "torch.optim.swa_utils", "torch.nn.utils.clip_grad")


def group_by_place() -> None:
    """Have torch group pointers by their workers and the devices of those, from now on."""
    modules: list[Any] = [import_module(name) for name in _WHO_GROUPS]
    by_device = getattr(modules[0], _THEIRS)

    def grouped(lists: list[list[Any]], with_indices: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for (device, dtype), (columns, indices) in by_device(lists, with_indices).items():
            for home, rows in _rows_by_place(columns[0]).items():
                key = _Key((device if home is None else home.device, dtype))
                found[key] = [_chosen(column, rows) for column in columns], _chosen(indices, rows)
        return found

    for module in modules:
        setattr(module, _THEIRS, grouped)


class _Key(tuple[Any, ...]):
    """A device and a dtype. Those of two workers are two keys."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def _rows_by_place(tensors: list[Any]) -> dict[Any, list[int]]:
    """The stream of each worker, None for this process, with the rows of its tensors."""
    rows: dict[Any, list[int]] = {}
    for row, tensor in enumerate(tensors):
        rows.setdefault(tensor._ref.stream if isinstance(tensor, Remote) else None, []).append(row)
    return rows


def _chosen(column: list[Any], rows: list[int]) -> list[Any]:
    return [column[row] for row in rows] if column else column  # empty where an optimizer keeps none of these
