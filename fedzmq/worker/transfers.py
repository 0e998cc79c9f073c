"""One client's moves from and to this worker: a tensor leaves for another worker, or is claimed from one.

A claim whose tensor is not here yet holds back everything of its client that comes after it, and nothing of others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fedzmq.errors import WorkerLost
from fedzmq.tensors.buffers import export, restore
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Claim, Deliver, Hand, TensorSpec, Undelivered
from fedzmq.worker.exchange import Exchange, Source, lost
from fedzmq.worker.failure import carried_on, failure_of
from fedzmq.worker.store import Inherited, Store


class Transfers:
    """`client` is the name under which other workers know whose tensors these are."""

    def __init__(self, store: Store, exchange: Exchange, client: str) -> None:
        self._store = store
        self._exchange = exchange
        self._client = client
        self._lost: set[Source] = set()

    def lose(self, worker: str, boot: bytes) -> None:
        """The client says that a worker is gone; may come from another thread."""
        self._lost.add((worker, boot))

    def ready(self, records: Sequence[Any]) -> int:
        """How many of the records can run now: all before the first claim whose tensor is still to come."""
        for index, record in enumerate(records):
            if type(record) is Claim and not self._is_settled(record):
                return index
        return len(records)

    def hand(self, command: Hand) -> None:
        """Post the tensor, or why there is none: whoever claims it is never left waiting."""
        store = self._store
        try:
            self._post(command)
        except WorkerLost:
            return  # nobody is there to claim it, which the client learns where it looks for the tensor
        except Exception as error:
            failure = failure_of(error, store.position, "move")
            store.remember(failure)
            with suppress(WorkerLost):
                self._send(command, Undelivered(command.key, self._client, failure))

    def claim(self, command: Claim) -> None:
        """Bind what came, or put the failure in its place."""
        store, source = self._store, (command.worker, command.boot)
        delivery = self._exchange.take(source, command.key)
        try:
            if delivery is None:
                failure = lost(command.worker, store.position)
                store.remember(failure)
            elif isinstance(delivery.message, Undelivered):
                failure = carried_on(delivery.message.failure, command.worker, store.position)
            else:
                spec = delivery.message.tensor
                tensor = restore(spec, delivery.buffers[spec.buffer])
                store.keep(command.id, tensor.requires_grad_(command.requires_grad))
                return
        except Exception as error:
            failure = failure_of(error, store.position, "move")
            store.remember(failure)
        store.poison(command.id, failure)

    def _post(self, command: Hand) -> None:
        try:
            dtype, shape, view = export(self._store.readable(command.id), copy=True)
        except Inherited as error:
            self._send(command, Undelivered(command.key, self._client, error.failure))
        else:
            self._send(command, Deliver(command.key, self._client, TensorSpec(dtype, shape, 0)), view)

    def _send(self, command: Hand, message: Deliver | Undelivered, *buffers: Buffer) -> None:
        self._exchange.send(command.worker, command.boot, message, buffers)

    def _is_settled(self, claim: Claim) -> bool:
        source = (claim.worker, claim.boot)
        return self._exchange.has(source, claim.key) or source in self._lost or self._exchange.is_broken(source)
