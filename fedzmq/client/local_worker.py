"""This process as a place among workers: what programs written for PySyft call `me`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import proxy

from fedzmq.client.neighbours import Neighbour
from fedzmq.pointers.destination import Home

if TYPE_CHECKING:
    from fedzmq.client.client import Client


class LocalWorker(Home, Neighbour):
    """Where a client is: `pointer.move(me)` brings a tensor here. `id` is what workers know the client by."""

    is_client_worker = True

    def __init__(self, client: Client) -> None:
        self._client: Client = proxy(client)  # which holds this one
        self.name = client.endpoint.connection.name

    @property
    def id(self) -> str:
        return self.name

    def clear_objects(self) -> LocalWorker:
        """Itself: nothing is kept here for anybody, because tensors that are here are torch's own."""
        return self

    def get_worker(self, worker: Any, fail_hard: bool = False) -> Any:
        """See `Client.get_worker`."""
        return self if worker in (self, self.name) else self._client.get_worker(worker, fail_hard)

    def __repr__(self) -> str:
        return f"<this process, {self.name!r}>"
