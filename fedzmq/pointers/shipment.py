"""The operands of one operation that travel with it, each with its place in the record.

The place is filled with the number of the tensor's buffer when the record joins a message.
"""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.tensors.dtypes import name_of


class Shipment:
    """`elements` counts those of the sequences among the arguments, which weigh in a message too."""

    __slots__ = ("elements", "places", "tensors")

    def __init__(self, elements: int = 0) -> None:
        self.places: list[list[Any]] = []
        self.tensors: list[torch.Tensor] = []
        self.elements = elements

    def attach(self, tensor: torch.Tensor) -> dict[str, Any]:
        """The wire value of a local operand."""
        place = [name_of(tensor.dtype), list(tensor.shape), 0]
        self.places.append(place)
        self.tensors.append(tensor)
        return {"x": place}
