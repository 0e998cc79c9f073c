"""A copy of a local tensor, put on a worker: bare, where `fedzmq.pointers.sending` brings along what belongs to it."""

from __future__ import annotations

import torch

from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind, sent_meta
from fedzmq.pointers.order import order_of, turn_back
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.stream import Stream


def put(stream: Stream, tensor: torch.Tensor, kind: Kind = CONSTANT) -> Reference:
    """The tensor may be written to afterwards. Raises UsageError where such a one cannot travel."""
    order = None if stream.is_recording else order_of(tensor)
    if order is None:
        return _put(stream, tensor, kind)
    return turn_back(stream, _put(stream, tensor.detach().permute(order), CONSTANT), order, kind)


def _put(stream: Stream, tensor: torch.Tensor, kind: Kind) -> Reference:
    arriving = sent_meta(tensor, kind)
    reference = Reference(stream, stream.put(tensor, kind == LEAF), arriving)
    if kind == LEAF:
        reference.become_leaf()
    return reference
