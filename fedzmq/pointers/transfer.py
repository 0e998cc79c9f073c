"""Tensors that go from one worker to another: one posts, the other claims, and the client only orders it.

Nothing is waited for. What the source cannot give is a failure in the tensor's place on the target, like any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from fedzmq.pointers.destination import Destination
from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind, contiguous_stride, meta
from fedzmq.pointers.order import at_home, permuted, turn_back
from fedzmq.pointers.origins import origin
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.wire.messages import Claim, Command, Hand

_KEY_BYTES = 16


def hand_over(references: Sequence[Reference], destination: Destination, kinds: Sequence[Kind]) -> list[Reference]:
    """The same tensors on another worker, each of the kind that is asked for; they stay where they are, too.

    By way of this client where the two workers have no common bus. All are on one worker.
    """
    if not references:
        return []
    stream = references[0].stream
    route = destination.route_from(stream.location)
    if route is None:
        values = stream.fetch([reference.id for reference in references])
        return [
            put(destination.stream, at_home(value, reference.meta), kind)
            for value, reference, kind in zip(values, references, kinds, strict=True)
        ]
    here = origin()
    made: list[Reference] = []
    orders: list[tuple[int, ...] | None] = []
    claims: list[Command] = []
    for reference, kind in zip(references, kinds, strict=True):
        key = os.urandom(_KEY_BYTES).hex()
        order = None if stream.is_recording else reference.meta.order
        id, shape = reference.id, reference.meta.shape
        if order is not None:
            id, shape = permuted(stream, reference, order), torch.Size([shape[dimension] for dimension in order])
        stream.command(Hand(id, destination.name, route.target, key), here)
        if order is not None:
            stream.released.append(id)  # not before: another thread may flush, and what is released goes with that
        arriving = meta(shape, reference.meta.dtype, contiguous_stride(shape), CONSTANT)
        new = Reference(destination.stream, destination.stream.new_id(), arriving)
        is_leaf = kind == LEAF and order is None
        claims.append(Claim(new.id, key, stream.worker, route.source, is_leaf))
        if is_leaf:
            new.become_leaf()
        made.append(new)
        orders.append(order)
    stream.flush()  # before anybody can wait for a claim: else it might wait for what never left this process
    for claim, new, order, kind in zip(claims, made, orders, kinds, strict=True):
        destination.stream.command(claim, here)
        if order is not None:
            turn_back(destination.stream, new, order, kind)
    return made
