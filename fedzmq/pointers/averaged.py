"""`torch.optim.swa_utils.AveragedModel` over pointers: torch asks C++ for their device, where every pointer is meta.

It brings the number of averaged models to that device, which there makes a number without a value of it.
"""

from __future__ import annotations

from typing import Any

import torch.optim.swa_utils

from fedzmq.pointers.remote import Remote


def group_by_true_device() -> None:
    """Have torch's averages take a pointer's device from the pointer, from now on."""
    swa_utils: Any = torch.optim.swa_utils
    by_device = swa_utils._group_tensors_by_device_and_dtype

    def grouped(lists: list[list[Any]], with_indices: bool = False) -> Any:
        groups = by_device(lists, with_indices)
        return {(_device(group[0][0], device), dtype): group for (device, dtype), group in groups.items()}

    swa_utils._group_tensors_by_device_and_dtype = grouped


def _device(tensors: list[Any], device: Any) -> Any:
    return next((tensor.device for tensor in tensors if isinstance(tensor, Remote)), device)
