"""Groups of pointers by their device, for which torch asks C++, where every pointer is meta.

`torch.optim.swa_utils.AveragedModel` and ASGD bring numbers to that device, which makes numbers without a value of
them.
"""

from __future__ import annotations

from typing import Any

import torch.optim.swa_utils
from torch.optim import optimizer as optimizers

from fedzmq.pointers.remote import Remote


def group_by_true_device() -> None:
    """Have torch's averages and optimizers take a pointer's device from the pointer, from now on."""
    swa_utils: Any = torch.optim.swa_utils
    optimizer: Any = optimizers
    by_device = swa_utils._group_tensors_by_device_and_dtype

    def grouped(lists: list[list[Any]], with_indices: bool = False) -> Any:
        groups = by_device(lists, with_indices)
        found: dict[Any, Any] = {}
        for (device, dtype), group in groups.items():
            key = (_device(group[0][0], device), dtype)
            # Of pointers beside tensors of this process neither group may take the other's place.
            found[key if key not in groups else (device, dtype)] = group
        return found

    swa_utils._group_tensors_by_device_and_dtype = grouped
    optimizer._group_tensors_by_device_and_dtype = grouped


def _device(tensors: list[Any], device: Any) -> Any:
    return next((tensor.device for tensor in tensors if isinstance(tensor, Remote)), device)
