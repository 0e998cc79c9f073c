"""One version of the model as it goes out, and who was sent it with all the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property

import torch

from fedzmq.client.client import Client
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.session.outbound import CHUNK_BYTES
from fedzmq.session.session import Peer
from fedzmq.tensors.buffers import Exported, export_all
from fedzmq.tensors.row import digest_of

LEAST_BYTES = CHUNK_BYTES  # a smaller model takes one message, which costs less than to say who listens
MOST_SHARED = 64 * 1024 * 1024  # bytes that go by memory at once, where the machine holds them for every worker
LEAST_SAVED = 2 * 1024 * 1024  # bytes; that every worker makes sure of what it heard costs more than to send fewer


class Edition:
    """`name` is the digest of the state, by which a worker knows what it heard and what it did before.

    What was published and is sent to some alone all the same, is sent out of a copy: they may be slow to take it, and
    nobody waits for them. `readers` are those who heard it all, or will; None where it was not published.
    """

    def __init__(self, state: Sequence[torch.Tensor], name: str = "", readers: Collection[Peer] | None = None) -> None:
        self.name = name
        self.is_frozen = readers is not None
        self._state = state
        self._readers = readers or ()

    def lacks(self, handle: WorkerHandle) -> bool:
        """It is to be sent to this worker alone."""
        return handle.line.peer not in self._readers

    @cached_property
    def sent(self) -> Exported:
        """What is sent to a worker alone: the same bytes to each."""
        return export_all(self._state, copy=self.is_frozen)


def publish(
    client: Client,
    state: Sequence[torch.Tensor],
    handles: Collection[WorkerHandle],
    name: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Edition:
    """Send the model to all of these at once, where that is less work than to send it to each.

    Those on this machine, who are sent it by memory, are not counted where the model is small: each is sent it alone.

    name: what the run calls this state and no other, in place of its digest, where nobody has to make sure of it.
    `say` is given a line where the medium is waited for.
    """
    size = sum(tensor.nbytes for tensor in state)
    peers = [handle.line.peer for handle in handles]
    far = [peer for peer in peers if not client.endpoint.shares_with(peer)]
    if size * (len(peers) - len(far)) <= MOST_SHARED:
        peers = far
    if size <= LEAST_BYTES or size * (len(peers) - 1) < LEAST_SAVED:
        return Edition(state, name or digest_of(state))
    name = digest_of(state)
    _, buffers = export_all(state)
    return Edition(state, name, client.publisher.publish(bytes.fromhex(name), buffers, peers, say))
