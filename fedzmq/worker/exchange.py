"""Tensors on their way between workers: what others posted for a client waits here until that client claims it.

A delivery is known by who posted it and a key that nobody guesses, so that no other client can claim it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from fedzmq.errors import LimitExceeded
from fedzmq.session.sessions import REMEMBERED
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Deliver, Failure, Undelivered
from fedzmq.worker.failure import failure_of
from fedzmq.worker.store import DEFAULT_QUOTA

Send = Callable[[str, bytes, "Deliver | Undelivered", Sequence[Buffer]], None]
Source = tuple[str, bytes]  # a worker and its incarnation

_DELIVERY_BYTES = 1024  # that a delivery takes beside its tensor


_Account = tuple[str, str]  # who posted it, and for whom


class Delivery(NamedTuple):
    """What came: the message, the bytes of its tensor where it has one, and on whose account it waits."""

    message: Deliver | Undelivered
    buffers: Sequence[Buffer]
    account: _Account


class Exchange:
    """`send` posts a message to an incarnation of a worker, in a session of this worker's own. Any thread may call.

    What one worker posts for one client, as far as it waits, is bounded by `quota` bytes: what is beyond is replaced by
    a failure, as long as failures have as much room again. Clients that are not served, or not yet, have that room
    together: their names may be made up. Anybody may say that they are a worker, and none takes the room of what others
    post.
    """

    def __init__(
        self, send: Send, quota: int = DEFAULT_QUOTA, is_served: Callable[[str], bool] = lambda client: True
    ) -> None:
        self.send = send
        self._quota = quota
        self._is_served = is_served
        self._lock = threading.Lock()
        self._waiting: dict[tuple[Source, str], Delivery] = {}
        self._bytes: dict[_Account, int] = {}  # what waits
        self._broken: OrderedDict[Source, None] = OrderedDict()  # those that broke last

    def __len__(self) -> int:
        return len(self._waiting)

    def arrived(self, source: Source, message: Deliver | Undelivered, buffers: Sequence[Buffer]) -> None:
        """Another worker posted this."""
        delivery = Delivery(message, buffers, (source[0], message.client if self._is_served(message.client) else ""))
        with self._lock:
            self._broken.pop(source, None)
            self._drop((source, message.key))
            waiting = self._bytes.get(delivery.account, 0)
            size = waiting + _size(delivery)
            if size > self._quota:
                delivery = self._refused(delivery, size)
                if waiting + _size(delivery) > 2 * self._quota:
                    return  # whoever has so many posted claims none
            self._keep((source, message.key), delivery)

    def has(self, source: Source, key: str) -> bool:
        return (source, key) in self._waiting

    def take(self, source: Source, key: str) -> Delivery | None:
        """What was posted under that key, once; None where it has not come."""
        with self._lock:
            return self._drop((source, key))

    def broke(self, source: Source, clients: Container[str] = ()) -> None:
        """The session with a worker ended: what is not here of it by now will not come.

        Of what is here goes what is for none of the clients that are served.
        """
        with self._lock:
            self._broken[source] = None
            if len(self._broken) > REMEMBERED:
                self._broken.popitem(last=False)
            for place, each in [*self._waiting.items()]:
                if place[0] == source and each.message.client not in clients:
                    self._drop(place)

    def is_broken(self, source: Source) -> bool:
        return source in self._broken

    def forget(self, client: str) -> None:
        """A client is gone, and with it what waits for it."""
        with self._lock:
            for place in [place for place, each in self._waiting.items() if each.message.client == client]:
                self._drop(place)

    @property
    def most(self) -> int:
        """The bytes that wait on the account where most do."""
        with self._lock:
            return max(self._bytes.values(), default=0)

    def refuse_most(self) -> None:
        """Have only failures wait on that account, and nothing where there was no more."""
        with self._lock:
            account = max(self._bytes, key=self._bytes.__getitem__)
            size = self._bytes[account]
            for place, each in [*self._waiting.items()]:
                if each.account == account:
                    self._drop(place)
                    if each.buffers:
                        self._keep(place, self._refused(each, size))

    def _refused(self, delivery: Delivery, size: int) -> Delivery:
        message = delivery.message
        error = LimitExceeded("the bytes that wait for this client on the worker", size, self._quota)
        return Delivery(Undelivered(message.key, message.client, failure_of(error, 0, "move")), (), delivery.account)

    def _keep(self, place: tuple[Source, str], delivery: Delivery) -> None:
        self._count(delivery, 1)
        self._waiting[place] = delivery

    def _drop(self, place: tuple[Source, str]) -> Delivery | None:
        delivery = self._waiting.pop(place, None)
        if delivery is not None:
            self._count(delivery, -1)
        return delivery

    def _count(self, delivery: Delivery, sign: int) -> None:
        account = delivery.account
        self._bytes[account] = self._bytes.get(account, 0) + sign * _size(delivery)
        if not self._bytes[account]:
            del self._bytes[account]


def lost(worker: str, position: int) -> Failure:
    """What a claim fails with whose worker is gone."""
    reason = f"worker {worker!r} was lost before the tensor had left it"
    return Failure(position, "move", "WorkerLost", reason, "", ())


def _size(delivery: Delivery) -> int:
    message = delivery.message
    texts = len(message.key) + len(message.client)
    if isinstance(message, Undelivered):
        failure = message.failure
        texts += len(failure.message) + len(failure.traceback) + sum(map(len, failure.shapes))
    return _DELIVERY_BYTES + texts + sum(memoryview(buffer).nbytes for buffer in delivery.buffers)
