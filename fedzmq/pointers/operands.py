"""All operands of one operation as they travel: pointers by their ids, and local tensors as a shipment."""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.operations.arguments import reference
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.shipment import Shipment


class Operands(Shipment):
    """What `pack` is to attach, wherever it is."""

    __slots__ = ()

    def attach(self, tensor: torch.Tensor) -> dict[str, Any]:
        return reference(tensor._ref.id) if isinstance(tensor, Remote) else super().attach(tensor)
