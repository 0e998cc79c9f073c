"""Tensors that go from one worker to another: one posts, the other claims, and the client only orders it.

Nothing is waited for. What the source cannot give is a failure in the tensor's place on the target, like any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fedzmq.pointers.destination import Destination
from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind, contiguous_stride, meta
from fedzmq.pointers.origins import origin
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
        return [destination.stream.put(value, kind) for value, kind in zip(values, kinds, strict=True)]
    here = origin()
    made: list[Reference] = []
    claims: list[Command] = []
    for reference, kind in zip(references, kinds, strict=True):
        key = os.urandom(_KEY_BYTES).hex()
        stream.command(Hand(reference.id, destination.name, route.target, key), here)
        of = reference.meta
        new = Reference(
            destination.stream,
            destination.stream.new_id(),
            meta(of.shape, of.dtype, contiguous_stride(of.shape), CONSTANT),
        )
        claims.append(Claim(new.id, key, stream.worker, route.source, kind == LEAF))
        if kind == LEAF:
            new.become_leaf()
        made.append(new)
    stream.flush()  # before anybody can wait for a claim: else it might wait for what never left this process
    for claim in claims:
        destination.stream.command(claim, here)
    return made
